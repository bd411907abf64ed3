import { describe, expect, it } from 'vitest'
import { Slots } from '../src/slots'

const item = (name: string) => ({ name })

describe('what has slots', () => {
  it('is given once each, whatever came and went before', () => {
    const slots = new Slots<{ name: string }>()
    const items = ['a', 'b', 'c', 'd'].map(item)
    const places = items.map((each) => slots.add(each))
    slots.remove(items[1]!, places[1]!)
    slots.remove(items[2]!, places[2]!)
    const late = ['e', 'f', 'g'].map(item)
    for (const each of late) slots.add(each)
    expect(slots.size).toBe(5)
    expect([...slots].map(({ name }) => name).toSorted()).toEqual(['a', 'd', 'e', 'f', 'g'])
  })

  it('does not lose count of an item that is removed twice, nor take another for it', () => {
    const slots = new Slots<{ name: string }>()
    const [first, second] = ['a', 'b'].map(item) as [{ name: string }, { name: string }]
    const at = slots.add(first)
    slots.remove(first, at)
    slots.remove(first, at)
    expect(slots.size).toBe(0)
    expect(slots.add(second)).toBe(at)
    slots.remove(first, at)
    expect([...slots]).toEqual([second])
    expect(slots.size).toBe(1)
  })

  it('takes no more room than there were items at once', () => {
    const slots = new Slots<{ name: string }>()
    const places = new Set<number>()
    const held = ['a', 'b', 'c'].map(item).map((each) => ({ each, at: slots.add(each) }))
    for (let times = 0; times < 100; times++) {
      const { each, at } = held.shift()!
      slots.remove(each, at)
      held.push({ each, at: slots.add(each) })
      places.add(held.at(-1)!.at)
    }
    expect([...places].toSorted()).toEqual([0, 1, 2])
  })

  it('can be walked through while items go, and while others come', () => {
    const slots = new Slots<{ name: string }>()
    const items = ['a', 'b', 'c', 'd'].map(item)
    const places = items.map((each) => slots.add(each))
    const seen: string[] = []
    for (const { name } of slots) {
      seen.push(name)
      if (name !== 'a') continue
      slots.remove(items[0]!, places[0]!)
      slots.remove(items[2]!, places[2]!)
      slots.add(item('late'))
    }
    expect(seen).toEqual(['a', 'b', 'late', 'd'])
    expect(slots.size).toBe(3)
  })
})
