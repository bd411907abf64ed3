/** The handlers of a `Bun.serve`, made to say `Connection: close` once the server drains. What they answer stays theirs. */

/** The options of `Bun.serve`. */
export type Options = Record<string, unknown>
type Handler = (this: unknown, ...args: unknown[]) => unknown

/** The same options with handlers whose responses say `Connection: close` while `draining` holds. */
export function closingHandlers(options: Options, draining: () => boolean): Options {
  const wrap = (handler: Handler): Handler => {
    const close = (answer: unknown): unknown => (draining() ? announceClose(answer) : answer)
    return function (...args) {
      const answer = handler.apply(this, args)
      return answer instanceof Promise ? answer.then(close) : close(answer)
    }
  }
  const wrapRoute = (value: unknown): unknown => {
    if (typeof value === 'function') return wrap(value as Handler)
    if (isFixed(value) && draining())
      return announceClose(value instanceof Response ? value.clone() : new Response(value))
    return isPlain(value) ? mapped(value, wrapRoute) : value
  }
  const { fetch, routes, error } = options
  const changed = { ...options }
  if (typeof fetch === 'function') changed.fetch = wrap(fetch as Handler)
  if (isPlain(routes)) changed.routes = mapped(routes, wrapRoute)
  if (typeof error === 'function') changed.error = wrap(error as Handler)
  return changed
}

/**
 * Whether some route is a response or a file, which Bun answers with and asks nobody: the server must be reloaded for it to
 * say more. Folders and HTML bundles are Bun's own, down to the headers.
 */
export function hasFixed(routes: unknown): boolean {
  return isPlain(routes) && Object.values(routes).some((value) => isFixed(value) || hasFixed(value))
}

function announceClose(answer: unknown): unknown {
  if (!(answer instanceof Response) || answer.status === 101) return answer
  try {
    answer.headers.set('Connection', 'close')
    return answer
  } catch {
    // Immutable: one that came from elsewhere.
    const { body, status, statusText } = answer
    const headers = new Headers(answer.headers)
    headers.set('Connection', 'close')
    return new Response(body, { status, statusText, headers })
  }
}

/** A response, or a file of Bun's, which is a Blob. */
function isFixed(value: unknown): value is Response | Blob {
  return value instanceof Response || value instanceof Blob
}

/** Methods of a route, and not a response, a file or a bundle. */
function isPlain(value: unknown): value is Options {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype
}

function mapped(values: Options, map: (value: unknown) => unknown): Options {
  return Object.fromEntries(Object.entries(values).map(([key, value]) => [key, map(value)]))
}
