/** The plots' numbers, as the events bring them. Pure. */
import type { Overview } from "../contract/overview.ts"

export type History = Overview["history"]
type Name = Exclude<keyof History, "step" | "at">

/** In milliseconds: what the server keeps. */
const kept = 3_600_000

/**
 * What was known, with what is newer in its place. Of a server that began anew the steps from before its start stay; steps of which
 * nobody knows are null, so that a plot has a gap there.
 */
export const merged = (known: History | undefined, told: History): History => {
  const [first] = told.at
  const last = told.at.at(-1)
  if (first === undefined || last === undefined) return known ?? told
  if (known === undefined) return told
  const from = last - kept
  const old = known.at.map((at, i) => ({ at, i })).filter(({ at }) => at > from && at < first)
  const lastOld = old.at(-1)
  const gap = lastOld !== undefined && first - lastOld.at > told.step ? [lastOld.at + told.step] : []
  const column = (name: Name) => [...old.map(({ i }) => known[name][i] ?? null), ...gap.map(() => null), ...told[name]]
  return {
    step: told.step,
    at: [...old.map(({ at }) => at), ...gap, ...told.at],
    requests: column("requests"),
    failures: column("failures"),
    waiting: column("waiting"),
    throttled: column("throttled"),
    acquisitions: column("acquisitions")
  }
}

type Column = ReadonlyArray<number | null>

/** A second; null in the step that is not over yet. */
export const rates = (column: Column, step: number): Column =>
  column.map((count, i) => (count === null || i === column.length - 1 ? null : (count * 1_000) / step))

/** Up to each step, so that the last is what there was in all of it. */
export const sums = (column: Column): Column => {
  let sum = 0
  return column.map((count) => (sum += count ?? 0))
}
