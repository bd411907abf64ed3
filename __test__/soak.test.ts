// The short form of `npm run soak`: what many restarts under load cost and leave behind.
import { expect, test } from 'vitest'
import { soak } from './support/soak/soak.mjs'
import { problemsOf, type Row } from './support/soak/verdict.mjs'

const RESTARTS = 20

test('twenty restarts under load lose nothing and leave nothing behind, beside children, timers and uploads', {
  timeout: 240_000,
}, async () => {
  const { rows, problems } = await soak(RESTARTS)
  expect(problems).toEqual([])
  expect(rows.at(-1)).toMatchObject({ restarts: RESTARTS, failed: 0, zombies: 0, processes: 1 })
  expect(rows.every(({ answered }) => answered > 0)).toBe(true)
})

const row: Row = {
  restarts: 1,
  answered: 1000,
  failed: 0,
  details: [],
  descriptors: { 'socket:[N]': 12, 'pipe:[N]': 8 },
  rss: 60e6,
  loadedRss: 70e6,
  zombies: 0,
  processes: 1,
  draining: 1,
  restartMs: [50],
}

const seen: [what: string, later: Partial<Row>, problem: string][] = [
  ['a failed request', { failed: 1 }, '1 requests failed in the restarts up to number 100'],
  ['a zombie', { zombies: 1 }, '1 zombies after 100 restarts'],
  ['a launcher that is left', { processes: 2 }, '2 processes instead of one after 100 restarts'],
  [
    'another descriptor',
    { descriptors: { 'socket:[N]': 13, 'pipe:[N]': 8 } },
    'other descriptors after 100 restarts: socket:[N] 13 instead of 12',
  ],
  [
    'a descriptor of another kind',
    { descriptors: { 'socket:[N]': 12, 'pipe:[N]': 7, 'anon_inode:[pidfd]': 1 } },
    'other descriptors after 100 restarts: pipe:[N] 7 instead of 8, anon_inode:[pidfd] 1 instead of 0',
  ],
  ['memory that grows', { rss: 66e6 }, 'resident memory grew from 60.0 MB to 66.0 MB'],
]

test.each(seen)('the soak sees %s', (_what, later, problem) => {
  expect(problemsOf([row, { ...row, restarts: 100, ...later }])).toEqual([problem])
})

test('the soak sees nothing where nothing is', () => {
  expect(problemsOf([row, { ...row, restarts: 100, rss: 61e6, loadedRss: 90e6 }])).toEqual([])
})
