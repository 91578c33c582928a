/** What a person reads of a batch: while it runs, and of what it came to. Pure. */
import { Duration } from "effect"
import type { BatchCounts, BatchProgress, BatchSummary } from "./Batch.ts"

const barWidth = 24
const eighths = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"]

/** One line of at most `columns` characters, for a terminal that shows it in place of the one before. */
export const bar = (progress: BatchProgress, columns: number): string => {
  const { done, total } = progress
  const share = total === undefined || total === 0 ? undefined : Math.min(1, done / total)
  const shown =
    share === undefined ? `${done} done` : `▕${filled(share)}▏ ${done}/${total} ${Math.floor(share * 100)} %`
  return cut([shown, ...details(progress)].join(" · "), columns)
}

/** One line for a log. */
export const logged = (progress: BatchProgress): string => {
  const { done, total } = progress
  return [total === undefined ? `${done} done` : `${done} of ${total} done`, ...details(progress)].join(", ")
}

const details = (progress: BatchProgress): ReadonlyArray<string> => {
  const { atWork, inLine, left, pausing, rate, trouble, waitsFor } = progress
  const failures = failedOf(progress) + progress.before.failed
  return [
    ...(failures > 0 ? [`${failures} failed`] : []),
    ...(progress.rejected > 0 ? [`${progress.rejected} set aside`] : []),
    ...(rate > 0 ? [rateOf(rate)] : []),
    ...(left !== undefined && Duration.toMillis(left) > 0 ? [`${roughly(left)} left`] : []),
    `${atWork} at work${inLine > 0 ? `, ${inLine} in line` : ""}${pausing > 0 ? `, ${pausing} between tries` : ""}`,
    ...(inLine + pausing > 0 ? waitsFor : []),
    ...(trouble === undefined ? [] : [trouble.replace(/\s+/g, " ")])
  ]
}

export const summary = (ended: BatchSummary): string => {
  const { before, changed, elapsed, failed, files, rejected, retries, tokens } = ended
  const failures = failedOf(ended)
  const reasons = Object.entries(failed).map(([reason, count]) => `${count} × ${reason}`)
  const rows: ReadonlyArray<readonly [string, string | undefined]> = [
    ["answered", `${ended.answered}${before.answered > 0 ? `, and ${before.answered} before` : ""}`],
    [
      "failed",
      failures + before.failed === 0
        ? undefined
        : `${failures}${reasons.length > 0 ? ` (${reasons.join(", ")})` : ""}${before.failed > 0 ? `, and ${before.failed} before` : ""}`
    ],
    ["set aside", rejected === 0 ? undefined : `${rejected} that are no requests`],
    ["changed", changed === 0 ? undefined : `${changed} answered before with another body: the old answer stays`],
    ["tried again", retries === 0 ? undefined : `${retries} times`],
    ["tokens", `${tokens.prompt} in, ${tokens.completion} out`],
    ["took", roughly(elapsed)],
    ["answers", ended.answered + before.answered > 0 ? files.output : undefined],
    ["errors", failures + before.failed > 0 ? `${files.errors} (without it, they are asked again)` : undefined],
    ["rejected", rejected > 0 ? files.rejected : undefined]
  ]
  return rows.flatMap(([name, value]) => (value === undefined ? [] : [`${name.padEnd(12)}${value}`])).join("\n")
}

export const failedOf = ({ failed }: BatchCounts): number =>
  Object.values(failed).reduce((sum, count) => sum + count, 0)

const filled = (share: number): string => {
  const parts = Math.floor(share * barWidth * 8)
  return ("█".repeat(Math.floor(parts / 8)) + (eighths[parts % 8] ?? "")).padEnd(barWidth)
}

const rateOf = (perSecond: number): string =>
  perSecond >= 10 ? `${Math.round(perSecond)}/s` : `${Math.round(perSecond * 60)}/min`

/** The two largest units: nobody counts the seconds of a day. */
const roughly = (duration: Duration.Duration): string => {
  const seconds = Math.max(1, Math.round(Duration.toSeconds(duration)))
  const parts: ReadonlyArray<readonly [number, string]> = [
    [Math.floor(seconds / 86_400), "d"],
    [Math.floor(seconds / 3_600) % 24, "h"],
    [Math.floor(seconds / 60) % 60, "min"],
    [seconds % 60, "s"]
  ]
  const first = parts.findIndex(([count]) => count > 0)
  return parts
    .slice(first, first + 2)
    .flatMap(([count, unit]) => (count > 0 ? [`${count} ${unit}`] : []))
    .join(" ")
}

const cut = (text: string, columns: number): string =>
  text.length <= columns ? text : `${text.slice(0, Math.max(0, columns - 1))}…`
