// What the kernel knows of the soaked service. Linux only.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'

/** A descriptor's kind: its number and that of its socket, pipe or file differ from generation to generation. */
const kind = (link) => link.replace(/\d+/g, 'N')

/** What a process holds open, by kind: `socket:[N]` to how many. @param {number} pid @returns {Record<string, number>} */
export function descriptors(pid) {
  const kinds = {}
  for (const fd of readdirSync(`/proc/${pid}/fd`)) {
    try {
      const name = kind(readlinkSync(`/proc/${pid}/fd/${fd}`))
      kinds[name] = (kinds[name] ?? 0) + 1
    } catch {
      // Closed meanwhile.
    }
  }
  return Object.fromEntries(Object.entries(kinds).sort(([a], [b]) => (a < b ? -1 : 1)))
}

/** Resident memory in bytes. @param {number} pid */
export function residentBytes(pid) {
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024
}

/** How many processes of that group have ended and are waited for by nobody. @param {number} group */
export function zombies(group) {
  return readdirSync('/proc').filter((entry) => {
    if (!/^\d+$/.test(entry)) return false
    const [state, , itsGroup] = stat(entry)
    return state === 'Z' && Number(itsGroup) === group
  }).length
}

/** The fields behind the name, which may hold anything. @param {string} pid @returns {string[]} */
function stat(pid) {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1')
    return text.slice(text.lastIndexOf(')') + 2).split(' ')
  } catch {
    return []
  }
}
