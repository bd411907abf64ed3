/** One HTTP request on a connection of its own. */
import http from 'node:http'

export interface Answer {
  status: number
  headers: http.IncomingHttpHeaders
  body: string
}

/** Asks for `path`, over TCP on 127.0.0.1 or over a unix socket. Rejects if the connection fails or breaks. */
export function get(where: { port: number } | { socketPath: string }, path = '/'): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = http.get({ host: '127.0.0.1', ...where, path, agent: false }, (response) => {
      let body = ''
      response.setEncoding('utf8').on('data', (text) => (body += text))
      response.on('error', reject)
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body }))
    })
    request.on('error', reject)
  })
}
