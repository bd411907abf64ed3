// Throws damaged frames at a coordination socket, on several connections at once, until it is told to stop. It never
// says a whole `Stop`, and so never ends the service; whole restarts it does say where `restarts` allows.
import { connect, frame, RESTART, STATUS } from './coordination.mjs'
import { generator } from './random.mjs'

const LENGTHS = [0, 1, 4, 0x7f, 0xffff, 0x10000, 0x10001, 0x7fffffff, 0xffffffff]
const BODIES = [
  STATUS,
  RESTART,
  '{"Request":"Reboot"}',
  '{"Response":{"RestartComplete":1}}',
  '[',
  'null',
  '"\\ud800"',
  '',
]

/** Starts; `stop()` resolves with how many connections were made. `seed` makes a run repeatable but for its timing. */
export function fuzzSocket(path, { connections = 8, seed = 1, restarts = false } = {}) {
  const random = generator(seed)
  let running = true
  let executions = 0
  async function one() {
    while (running) {
      const socket = await connect(path).catch(() => null)
      // Between two generations, or gone for good: the caller knows.
      if (socket === null) {
        await new Promise(setImmediate)
        continue
      }
      executions += 1
      socket.on('data', () => {})
      await attack(socket, random, restarts)
      socket.destroy()
    }
  }
  const all = Promise.all(Array.from({ length: connections }, one))
  return {
    async stop() {
      running = false
      await all
      return executions
    },
  }
}

async function attack(socket, random, restarts) {
  const choice = random(6)
  if (choice === 0) return // says nothing, and goes
  let bytes = frame(BODIES[random(BODIES.length)])
  if (!restarts && bytes.includes(RESTART)) bytes = frame(STATUS)
  if (choice === 1) bytes.writeUInt32BE(LENGTHS[random(LENGTHS.length)])
  if (choice === 2) for (let flips = random(8); flips >= 0; flips--) bytes[random(bytes.length)] ^= 1 << random(8)
  if (choice === 3) bytes = Buffer.from(Array.from({ length: random(300) }, () => random(256)))
  if (choice === 4) bytes = bytes.subarray(0, random(bytes.length))
  // A flipped bit must not make the one word that ends the service.
  if (bytes.includes('"Stop"')) return
  for (let at = 0; at < bytes.length && !socket.destroyed; ) {
    const size = choice === 5 ? 1 : 1 + random(bytes.length)
    socket.write(bytes.subarray(at, at + size))
    at += size
    if (random(3) === 0) await new Promise(setImmediate)
  }
  if (random(2) === 0) socket.end()
  if (random(2) === 0) await new Promise(setImmediate)
}
