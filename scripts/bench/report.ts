/** Prints what a bench came to, and keeps it in its own section of `RESULTS.md`. */
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { availableParallelism, cpus, release, totalmem } from "node:os"
import { join } from "node:path"

export interface Goal {
  readonly what: string
  readonly goal: string
  readonly measured: string
  readonly reached: boolean
}

/** The first column is text, the others are figures. */
export const table = (heads: ReadonlyArray<string>, rows: ReadonlyArray<ReadonlyArray<string>>): string => {
  const widths = heads.map((head, i) => Math.max(3, head.length, ...rows.map((row) => (row[i] ?? "").length)))
  const line = (cells: ReadonlyArray<string>) =>
    `| ${widths.map((width, i) => (i === 0 ? (cells[i] ?? "").padEnd(width) : (cells[i] ?? "").padStart(width))).join(" | ")} |`
  const rule = widths.map((width, i) => (i === 0 ? "-".repeat(width) : `${"-".repeat(width - 1)}:`))
  return [line(heads), `| ${rule.join(" | ")} |`, ...rows.map(line)].join("\n")
}

export const goals = (all: ReadonlyArray<Goal>): string =>
  table(
    ["goal", "at", "measured", ""],
    all.map(({ goal, measured, reached, what }) => [what, goal, measured, reached ? "✓" : "✗"])
  )

export const fixed = (digits: number) => (value: number) => value.toFixed(digits)
export const whole = (value: number) => Math.round(value).toLocaleString("en")

const machine = () =>
  `${cpus()[0]?.model.trim() ?? "unknown CPU"}, ${availableParallelism()} cores, ${Math.round(totalmem() / 2 ** 30)} GB, ` +
  `Linux ${release()}, Node ${process.versions.node}, ${new Date().toISOString().slice(0, 10)}`

const path = join(import.meta.dirname, "RESULTS.md")
const top = `# What the benches measured

Medians of interleaved rounds; a ratio is the median of the ratios within each round. Absolute figures mean nothing on another
machine. Each section is written by the command that it names.
`

/** Replaces the section of this name and leaves the others as they are. */
export const record = (name: string, command: string, notes: ReadonlyArray<string>, text: string) => {
  const before = existsSync(path)
    ? readFileSync(path, "utf8")
        .split(/\n(?=## )/)
        .slice(1)
    : []
  const section = `## ${name}\n\n\`${command}\`\n\n${[machine(), ...notes].map((note) => `- ${note}`).join("\n")}\n\n${text.trim()}\n`
  const isThis = (other: string) => other.startsWith(`## ${name}\n`)
  const sections = before.some(isThis) ? before.map((other) => (isThis(other) ? section : other)) : [...before, section]
  writeFileSync(path, [top, ...sections.map((one) => `${one.trim()}\n`)].join("\n"))
}

export const say = (text: string) => process.stdout.write(`${text}\n`)
