// UDP: the old and the new generation share one socket, so that each datagram reaches one of them.
//   node examples/udp.mjs
import dgram from 'node:dgram'
import { shellflip } from '@shellflip/node'

const service = await shellflip()
const socket = dgram.createSocket('udp4')
socket.on('message', (message, { address, port }) => {
  socket.send(`${message} ${process.pid} ${service.generation}\n`, port, address)
})

const { address, port } = await service.listen(socket, { host: '127.0.0.1', port: Number(process.env.PORT ?? 3353) })
await service.ready()

console.log(`generation ${service.generation} (pid ${process.pid}) serves udp://${address}:${port}`)
