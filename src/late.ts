/**
 * What is asked for late. Whoever imports this package pays for what it loads, even a program that never calls
 * `shellflip()`; Node's own modules for threads, cluster, streams and sockets cost more than all of ours. `__test__/import.test.ts`
 * holds the list of what an import may load.
 */

/** False in a worker thread. */
export function isMainThread(): boolean {
  return (require('node:worker_threads') as typeof import('node:worker_threads')).isMainThread
}

/** What this process or thread is to the one that started it. */
export function processKind(): 'main' | 'worker thread' | 'cluster worker' {
  if (!isMainThread()) return 'worker thread'
  return (require('node:cluster') as typeof import('node:cluster').default).isWorker ? 'cluster worker' : 'main'
}
