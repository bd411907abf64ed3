// Prints nanoseconds per handle taken and released, and the same for a plain object, in turns.
import { ShutdownCoordinator } from '@shellflip/node'
import { alternate } from '../lib/measure.mjs'

const TIMES = 500_000

class Plain {
  count = 0
  handle() {
    this.count++
    return new PlainHandle(this)
  }
}

class PlainHandle {
  #owner
  constructor(owner) {
    this.#owner = owner
  }
  release() {
    if (this.#owner) this.#owner.count--
    this.#owner = undefined
  }
}

function nanoseconds(coordinator) {
  const begun = process.hrtime.bigint()
  for (let time = 0; time < TIMES; time++) coordinator.handle().release()
  return Number(process.hrtime.bigint() - begun) / TIMES
}

const coordinator = new ShutdownCoordinator()
const held = coordinator.handle()
const plain = new Plain()
const sides = { ours: () => nanoseconds(coordinator), other: () => nanoseconds(plain) }
await alternate(3, sides)
console.log(JSON.stringify(await alternate(Number(process.argv[2]), sides)))
held.release()
await coordinator.shutdown()
