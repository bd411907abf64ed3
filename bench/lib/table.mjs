// The result as a table: Markdown, which reads well on a terminal too.
import { readFileSync, writeFileSync } from 'node:fs'

const BEGIN = '<!-- bench: begin -->'
const END = '<!-- bench: end -->'

function number(value) {
  if (value === undefined) return ''
  const digits = Math.abs(value) >= 1000 ? 0 : Math.abs(value) >= 10 ? 1 : 2
  return Number.isInteger(value) ? String(value) : value.toFixed(digits)
}

function spread(side, unit) {
  return side ? `${number(side.median)} ${unit} (${number(side.min)} to ${number(side.max)})`.replace('  ', ' ') : ''
}

function budget({ budget, unit }) {
  if (!budget) return ''
  const limit = budget.atMost === undefined ? `>= ${budget.atLeast}` : `<= ${budget.atMost}`
  return { ratio: `ratio ${limit}`, difference: `${limit} ${unit} more`, median: `${limit} ${unit}`, max: limit }[
    budget.of
  ]
}

/** ` (+1.2 ms)`. */
function more({ difference, unit }) {
  return ` (${difference.median < 0 ? '' : '+'}${number(difference.median)} ${unit})`
}

const verdict = ({ pass }) => (pass === undefined ? '' : pass ? 'yes' : '**no**')

export function markdown(rows) {
  const cells = rows.map((row) => [
    row.what,
    spread(row.ours, row.unit),
    row.other ? `${spread(row.other, row.unit)} ${row.against}` : '',
    row.ratio ? `${row.ratio.median.toFixed(2)}${more(row)}` : '',
    budget(row),
    verdict(row),
  ])
  const lines = [['what', 'here: median (min to max)', 'beside it', 'ratio (difference)', 'budget', 'kept'], ...cells]
  const widths = lines[0].map((_, column) => Math.max(...lines.map((line) => line[column].length)))
  const text = (line) => `| ${line.map((cell, column) => cell.padEnd(widths[column])).join(' | ')} |`
  const rule = `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`
  return [text(lines[0]), rule, ...lines.slice(1).map(text)].join('\n')
}

/** Puts the text between the markers of a document. */
export function writeBetweenMarkers(file, text) {
  const document = readFileSync(file, 'utf8')
  const begin = document.indexOf(BEGIN)
  const end = document.indexOf(END)
  if (begin < 0 || end < begin) throw new Error(`${file} has no lines ${BEGIN} and ${END} to write between`)
  writeFileSync(file, `${document.slice(0, begin + BEGIN.length)}\n${text}\n${document.slice(end)}`)
}
