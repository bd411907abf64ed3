// A restart asked for without the command line, so that its own start is not measured.
import net from 'node:net'

/** @param {string} path  of the coordination socket @returns {Promise<number>} the pid of the new generation */
export function requestRestart(path) {
  return new Promise((resolve, reject) => {
    let received = Buffer.alloc(0)
    const socket = net.connect(path)
    socket.on('error', reject)
    socket.on('end', () => reject(new Error('the coordination socket was closed without an answer')))
    socket.on('connect', () => {
      const request = Buffer.from('{"Request":"TryRestart"}')
      const length = Buffer.alloc(4)
      length.writeUInt32BE(request.length)
      socket.write(Buffer.concat([length, request]))
    })
    socket.on('data', (bytes) => {
      received = Buffer.concat([received, bytes])
      if (received.length < 4 || received.length < 4 + received.readUInt32BE()) return
      socket.destroy()
      const { Response } = JSON.parse(received.subarray(4))
      if (Response?.RestartComplete) resolve(Response.RestartComplete)
      else reject(new Error(`the restart failed: ${Response?.RestartFailed ?? received.subarray(4)}`))
    })
  })
}
