// Each generation sends MEGABYTES to the next one, which reads them before it is ready.
import { receiveFromOldProcess, shellflip } from '@shellflip/node'
import { read, write } from './pipe-ends.mjs'

const service = await shellflip({ lifecycle: { sendToNewProcess: write } })
const sent = receiveFromOldProcess()
if (sent) await read(sent)
await service.ready()
console.log(`generation ${service.generation} (pid ${process.pid}) serves nothing`)

// Without a listener nothing else keeps the process alive.
const alive = setInterval(() => {}, 60_000)
service.signal.addEventListener('abort', () => clearInterval(alive))
