/**
 * The rules beside the peers that do the same job, in one process: `npm run bench:core [-- --rounds 5 --only limiter,slots,leases,joins]`.
 */
import { parseArgs } from "node:util"
import { type Contest, hold } from "./core/contest.ts"
import * as Joins from "./core/joins.ts"
import * as Leases from "./core/leases.ts"
import * as Limiter from "./core/limiter.ts"
import * as Slots from "./core/slots.ts"
import { fixed, type Goal, goals, record, say, table, whole } from "./report.ts"

const all: Readonly<Record<string, () => ReadonlyArray<Contest>>> = {
  limiter: Limiter.contests,
  slots: Slots.contests,
  leases: Leases.contests,
  joins: Joins.contests
}

const { values } = parseArgs({
  options: { rounds: { type: "string", default: "5" }, only: { type: "string", default: Object.keys(all).join(",") } }
})
const rounds = Number(values.rounds)
const parts = values.only.split(",")

const reached: Array<Goal> = []
const sections: Array<string> = []
for (const part of parts) {
  const make = all[part]
  if (make === undefined) throw new Error(`there is no contest "${part}"; there are ${Object.keys(all).join(", ")}`)
  for (const contest of make()) {
    const standings = await hold(contest, rounds)
    const text = [
      `### ${contest.title}`,
      table(
        ["", "× ours", `ns a ${contest.each}`],
        standings.map(({ contestant, cost, ratio }) => [contestant.name, fixed(2)(ratio), whole(cost)])
      )
    ].join("\n\n")
    say(`\n${text}`)
    sections.push(text)
    for (const { contestant, ratio } of standings.filter(({ contestant }) => contestant.ours !== true)) {
      reached.push({
        what: `${contest.title}: ${contestant.name}`,
        goal: "≥ 1 × ours",
        measured: fixed(2)(ratio),
        reached: ratio >= 1
      })
    }
  }
}
const summary = goals(reached)
say(`\n${summary}`)
// Part of a run is no result to keep.
if (parts.length === Object.keys(all).length && rounds >= 5) {
  record(
    "bench:core",
    `npm run bench:core -- --rounds ${rounds}`,
    ["in one process, after three rounds to warm up"],
    [summary, ...sections].join("\n\n")
  )
}
process.exit()
