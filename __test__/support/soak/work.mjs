// The work of a soaked generation beside its serving: a timer; on each tick a child process of its own, which must see
// no descriptor but its own four, and a line through a child that lives as long as the generation serves.
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { promisify } from 'node:util'
import { say } from '../say.mjs'

const EVERY_MS = 100

/** Standard input, output and error, and the folder that `ls` reads. */
const OWN_DESCRIPTORS = '0\n1\n2\n3\n'

const run = promisify(execFile)

export class Work {
  #service
  #timer
  #child
  #handle
  #running = new Set()
  #stopped

  /** @param {import('@shellflip/node').Service} service */
  constructor(service) {
    this.#service = service
  }

  /** Once the generation serves: the old one's work ends when its drain begins. */
  start() {
    this.#handle = this.#service.handle()
    this.#child = spawn('cat', { stdio: ['pipe', 'pipe', 'inherit'] })
    this.#timer = setInterval(() => this.#tick(), EVERY_MS)
    this.#service.signal.addEventListener('abort', () => this.stop())
  }

  /** Resolves once every child has ended and said what it should. */
  stop() {
    this.#stopped ??= this.#stop()
    return this.#stopped
  }

  async #stop() {
    clearInterval(this.#timer)
    await Promise.all(this.#running)
    this.#child.stdin.end()
    const [code, signal] = await once(this.#child, 'exit')
    if (code !== 0) this.#complain(`the lasting child ended with ${code ?? signal}`)
    this.#handle.release()
  }

  #tick() {
    const ticks = Promise.all([this.#lookAround(), this.#echo()]).catch((error) => this.#complain(String(error)))
    this.#running.add(ticks)
    ticks.finally(() => this.#running.delete(ticks))
  }

  async #lookAround() {
    const { stdout } = await run('ls', ['/proc/self/fd'])
    // The first generation passes on what its own starter left open.
    if (stdout !== OWN_DESCRIPTORS && this.#service.generation > 1)
      this.#complain(`a child process was given descriptors: ${stdout.split('\n')}`)
  }

  async #echo() {
    if (this.#child.stdout.listenerCount('data') > 0) return
    const line = `${performance.now()}\n`
    this.#child.stdin.write(line)
    const [answer] = await once(this.#child.stdout, 'data')
    if (String(answer) !== line) this.#complain(`the lasting child was told ${line} and said ${answer}`)
  }

  #complain(text) {
    say('complaint', { generation: this.#service.generation, text })
  }
}
