// The Rust crate's example `restarter`, in its API for JavaScript: a TCP server that says which process it is and then
// echoes. A restart leaves every connection where it is, and the old process ends when the last of its clients has left.
//   node examples/restarter.mjs           runs it
//   node examples/restarter.mjs restart   restarts it, and says how that went
// Unlike there, the new process takes over the listening socket. The two may even replace each other: the state is the
// same four bytes.
import net from 'node:net'
import { parseArgs } from 'node:util'
import { RestartConfig, receiveFromOldProcess, ShutdownCoordinator } from '@shellflip/node'

const MOST_RESTARTS = 5

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    socket: { type: 'string', short: 's', default: '/tmp/restarter.sock' },
    port: { type: 'string', short: 'p', default: '3000' },
  },
})

async function generationOf(pipe) {
  if (pipe === null) return 0
  const state = Buffer.concat(await pipe.toArray())
  return state.readUInt32BE() + 1
}

const generation = await generationOf(receiveFromOldProcess())

const config = new RestartConfig({
  enabled: true,
  coordinationSocketPath: values.socket,
  lifecycleHandler: {
    preNewProcess() {
      console.log(`instance ${generation} is about to start the next one`)
    },
    sendToNewProcess(pipe) {
      if (generation >= MOST_RESTARTS) throw new Error(`${MOST_RESTARTS} restarts are enough for an example`)
      const state = Buffer.alloc(4)
      state.writeUInt32BE(generation)
      pipe.write(state)
    },
    newProcessFailed(error) {
      console.log(`instance ${generation} goes on: ${error.message}`)
    },
  },
})

async function restart() {
  try {
    console.log(`restarted, the new process is ${await config.requestRestart()}`)
  } catch (error) {
    console.error(`not restarted: ${error.message}`)
    process.exitCode = 1
  }
}

function echo(coordinator, socket) {
  // Held as long as the connection lives: shutdown() waits for it.
  const handle = coordinator.handle()
  socket.on('close', () => handle.release())
  socket.on('error', (error) => console.error(`client failed: ${error.message}`))
  socket.write(`hello, this is process ${process.pid}\n`)
  socket.pipe(socket)
}

async function serve() {
  const task = config.tryIntoRestartTask()
  const coordinator = new ShutdownCoordinator()
  const server = net.createServer((socket) => echo(coordinator, socket))
  const service = await task.service
  const { port } = await service.listen(server, { host: '127.0.0.1', port: Number(values.port), name: 'echo' })
  const over = task.run()
  console.log(`instance ${generation} (pid ${process.pid}) listens on ${port}`)
  try {
    const { pid } = await over
    console.log(`instance ${generation} is replaced by process ${pid}, its clients may finish`)
  } catch (error) {
    console.log(`instance ${generation} cannot be restarted any more: ${error.message}`)
  }
  await coordinator.shutdown()
  console.log(`instance ${generation} ends`)
}

if (positionals[0] === 'restart') await restart()
else await serve()
