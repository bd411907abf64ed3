/** A TCP client that writes and reads bytes, for what an HTTP client would hide. */
import { once } from 'node:events'
import net from 'node:net'
import tls from 'node:tls'

export class RawClient {
  /** All that was received. */
  text = ''
  ended = false
  /** How the connection was lost, if not properly. */
  error: NodeJS.ErrnoException | null = null

  private constructor(readonly socket: net.Socket) {
    socket.setEncoding('latin1')
    socket.on('data', (chunk: string) => {
      this.text += chunk
    })
    socket.on('end', () => {
      this.ended = true
    })
    socket.on('error', (error) => {
      this.error = error
    })
  }

  static async connect(to: { port?: number; path?: string }, secure?: tls.ConnectionOptions): Promise<RawClient> {
    const target = { host: '127.0.0.1', ...to } as net.NetConnectOpts
    const socket = secure === undefined ? net.connect(target) : tls.connect({ ...to, host: '127.0.0.1', ...secure })
    await once(socket, secure === undefined ? 'connect' : 'secureConnect')
    return new RawClient(socket)
  }

  write(text: string): this {
    this.socket.write(text)
    return this
  }

  get(path: string, headers = ''): this {
    return this.write(`GET ${path} HTTP/1.1\r\nHost: a\r\n${headers}\r\n`)
  }

  /** Waits until what was received matches. Rejects if the connection ends before. */
  async until(pattern: RegExp): Promise<string> {
    while (!pattern.test(this.text)) {
      if (this.socket.destroyed) throw new Error(`closed before ${pattern}: ${this.text} ${this.error ?? ''}`)
      const heard = new AbortController()
      const { signal } = heard
      await Promise.race([once(this.socket, 'data', { signal }), once(this.socket, 'close', { signal })])
      heard.abort()
    }
    return this.text
  }

  /** Waits for the end of the connection. */
  async closed(): Promise<string> {
    if (!this.socket.destroyed) await once(this.socket, 'close')
    return this.text
  }
}
