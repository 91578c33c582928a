/**
 * What it costs to go through Weirgate: `npm run bench:proxy [-- --rounds 5 --seconds 3 --c 64 --only whole,open,streams,waiting]`.
 * Everything is on the loopback; each contender has a process of its own.
 */
import { spawnSync } from "node:child_process"
import { join } from "node:path"
import { parseArgs } from "node:util"
import * as Contenders from "./proxy/contenders.ts"
import { type Contender, titles } from "./proxy/contenders.ts"
import type { Target } from "./proxy/load.ts"
import { type Rounds, rounds, series } from "./proxy/phases.ts"
import { isPinned, prioritise, resident, stop, stopAll } from "./proxy/processes.ts"
import { chunks } from "./proxy/script.ts"
import { waitingCost } from "./proxy/waiting.ts"
import { fixed, type Goal, goals, record, say, table, whole } from "./report.ts"
import { difference, median, paired, ratio } from "./statistics.ts"

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "5" },
    seconds: { type: "string", default: "3" },
    c: { type: "string", default: "64" },
    waiting: { type: "string", default: "2000" },
    only: { type: "string", default: "whole,open,streams,waiting" },
    /** A negative one, for a machine that others use as well; needs root. */
    nice: { type: "string" },
    /** Measures `dist` as it is. */
    "no-build": { type: "boolean", default: false }
  }
})
const count = Number(values.rounds)
const seconds = Number(values.seconds)
const callers = Number(values.c)
const waiting = Number(values.waiting)
const parts = values.only.split(",")
const rate = 1_000
const streamCallers = Math.min(callers, 32)
const pacedCallers = 100

type Name = Contender["name"]
const two = fixed(2)
const signed = (value: number) => `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(2)}`

const reached: Array<Goal> = []
const goal = (what: string, atLeast: boolean, bound: number, unit: string, measured: number) =>
  reached.push({
    what,
    goal: `${atLeast ? "≥" : "≤"} ${bound}${unit}`,
    measured: `${two(measured)}${unit}`,
    reached: atLeast ? measured >= bound : measured <= bound
  })
const sections: Array<string> = []
const section = (title: string, ...paragraphs: ReadonlyArray<string>) => {
  const text = [`### ${title}`, ...paragraphs].join("\n\n")
  say(`\n${text}`)
  sections.push(text)
}

const mid = (measured: Rounds, name: Name, field: Parameters<typeof series>[2]) => median(series(measured, name, field))
const against = (
  measured: Rounds,
  name: Name,
  other: Name,
  field: Parameters<typeof series>[2],
  of: (ours: number, theirs: number) => number
) => paired(series(measured, name, field), series(measured, other, field), of)

const wholeAnswers = async () => {
  const mock = await Contenders.mock()
  const client = Contenders.client()
  const weirgate = await Contenders.weirgate(mock.port)
  const bare = await Contenders.plain("bare", mock.port)
  const dispatch = await Contenders.plain("dispatch", mock.port)
  const portkey = await Contenders.portkey(mock.port)
  const all = [weirgate, bare, dispatch, portkey]
  const names: ReadonlyArray<Name> = ["weirgate", "bare", "dispatch", "portkey"]

  if (parts.includes("whole")) {
    const [ceiling] = (
      await rounds(client, [mock], "whole", 1, (target) => ({ _tag: "Closed", target, callers, seconds }))
    ).values()
    const hard = (target: Target) => ({ _tag: "Closed", target, callers, seconds }) as const
    const closed = await rounds(client, all, "whole", count, hard, 2)
    const memory = new Map(all.map((contender) => [contender.name, resident(contender.process)]))
    section(
      `Whole answers of 600 bytes, ${callers} callers`,
      table(
        [
          "",
          "÷ (a)",
          "÷ Portkey",
          "processor ÷ (a)",
          "requests/s",
          "busy",
          "p50 ms",
          "p99 ms",
          "processor µs",
          "RSS MB"
        ],
        names.map((name) => [
          titles[name],
          two(against(closed, name, "bare", "rate", ratio)),
          two(against(closed, name, "portkey", "rate", ratio)),
          two(against(closed, name, "bare", "processor", ratio)),
          whole(mid(closed, name, "rate")),
          `${Math.round(100 * mid(closed, name, "busy"))} %`,
          two(mid(closed, name, "p50")),
          two(mid(closed, name, "p99")),
          fixed(1)(mid(closed, name, "processor")),
          whole((memory.get(name) ?? 0) / 2 ** 20)
        ])
      ),
      `The client and the upstream alone reach ${whole(ceiling?.[0]?.rate ?? Number.NaN)} requests/s. One that is far from 100 % busy was held up by something else than itself; its processor time tells more then.`
    )
    goal("requests/s ÷ (a)", true, 0.8, "", against(closed, "weirgate", "bare", "rate", ratio))
    goal("requests/s ÷ Portkey", true, 7, "", against(closed, "weirgate", "portkey", "rate", ratio))

    const single = await rounds(client, [...all, mock], "whole", count, (target) => ({
      _tag: "Closed",
      target,
      callers: 1,
      seconds: seconds / 2
    }))
    section(
      "One caller: what is added to a call",
      table(
        ["", "added ms", "above (a) ms", "p50 ms", "p99 ms"],
        [...names, "direct" as const].map((name) => [
          titles[name],
          signed(against(single, name, "direct", "p50", difference)),
          signed(against(single, name, "bare", "p50", difference)),
          two(mid(single, name, "p50")),
          two(mid(single, name, "p99"))
        ])
      )
    )
  }
  if (!parts.includes("open")) return stopAll()
  const open = await rounds(client, all, "whole", count, (target) => ({ _tag: "Open", target, rate, seconds }))
  section(
    `${whole(rate)} requests/s, whether they are answered or not`,
    table(
      ["", "p50 above (a) ms", "p99 above (a) ms", "the same, cold", "p50 ms", "p99 ms", "p99 cold", "processor µs"],
      names.map((name) => [
        titles[name],
        signed(against(open, name, "bare", "p50", difference)),
        signed(against(open, name, "bare", "p99", difference)),
        signed(against(open, name, "bare", "cold99", difference)),
        two(mid(open, name, "p50")),
        two(mid(open, name, "p99")),
        two(mid(open, name, "cold99")),
        fixed(1)(mid(open, name, "processor"))
      ])
    ),
    "Latency counts from when a request was to be sent; the first second of each round, after a rest that has cost the connections to the upstream, is counted only in what is cold."
  )
  goal(`p99 at ${rate} requests/s above (a)`, false, 1, " ms", against(open, "weirgate", "bare", "p99", difference))
  goal("the same with a cold second", false, 1, " ms", against(open, "weirgate", "bare", "cold99", difference))
  return stopAll()
}

const streams = async () => {
  const mock = await Contenders.mock()
  const client = Contenders.client()
  const all = [
    await Contenders.weirgate(mock.port),
    await Contenders.plain("pipe", mock.port),
    await Contenders.plain("bare", mock.port),
    await Contenders.plain("dispatch", mock.port),
    await Contenders.portkey(mock.port)
  ]
  const [ceiling] = (
    await rounds(client, [mock], "stream", 1, (target) => ({ _tag: "Closed", target, callers: streamCallers, seconds }))
  ).values()
  const fast = await rounds(client, all, "stream", count, (target) => ({
    _tag: "Closed",
    target,
    callers: streamCallers,
    seconds
  }))
  const rows = (measured: Rounds) =>
    [...measured.keys()].map((name) => [
      titles[name],
      two(against(measured, name, "pipe", "rate", ratio)),
      two(against(measured, name, "pipe", "processor", ratio)),
      signed(against(measured, name, "pipe", "first50", difference)),
      fixed(1)(mid(measured, name, "rate")),
      whole(mid(measured, name, "rate") * chunks.length),
      `${Math.round(100 * mid(measured, name, "busy"))} %`,
      two(mid(measured, name, "first50")),
      two(mid(measured, name, "first99")),
      two(mid(measured, name, "processor") / chunks.length)
    ])
  const heads = (share: string) => [
    "",
    share,
    "processor ÷ (d)",
    "first byte above (d) ms",
    "streams/s",
    "chunks/s",
    "busy",
    "first byte p50 ms",
    "p99 ms",
    "processor µs/chunk"
  ]
  section(
    `Streams of ${chunks.length} chunks without a pause, ${streamCallers} callers`,
    table(heads("chunks/s ÷ (d)"), rows(fast)),
    `The client and the upstream alone reach ${whole((ceiling?.[0]?.rate ?? Number.NaN) * chunks.length)} chunks/s.`
  )
  goal("chunks/s ÷ raw pipe (d)", true, 0.7, "", against(fast, "weirgate", "pipe", "rate", ratio))

  const few = all.filter(({ name }) => name !== "bare")
  const paced = await rounds(client, few, "paced", count, (target) => ({
    _tag: "Closed",
    target,
    callers: pacedCallers,
    seconds: Math.max(seconds, 4),
    // Else all would begin and end together.
    spread: 2
  }))
  section(
    `Streams of ${chunks.length} chunks, one every 10 ms, ${pacedCallers} callers`,
    table(heads("chunks/s ÷ (d)"), rows(paced)),
    "Weirgate answers with the first content, here one chunk after the upstream's first: until then another may be asked."
  )
  const perProcessor = (ours: number, theirs: number) => theirs / ours
  goal(
    "paced chunks per processor second ÷ (d)",
    true,
    0.7,
    "",
    against(paced, "weirgate", "pipe", "processor", perProcessor)
  )
  await stopAll()
}

const waitingStreams = async () => {
  const mock = await Contenders.mock()
  const client = Contenders.client()
  const makers = {
    weirgate: (watched: string) => Contenders.weirgate(mock.port, watched),
    pipe: (watched: string) => Contenders.plain("pipe", mock.port, watched),
    portkey: (watched: string) => Contenders.portkey(mock.port, watched)
  }
  const kb = (bytes: number) => fixed(1)(bytes / 1024)
  const rows: Array<ReadonlyArray<string>> = []
  for (const name of ["weirgate", "pipe", "portkey"] as const) {
    const cost = await waitingCost(client, makers[name], waiting)
    const live = cost.heap + cost.external
    rows.push([
      titles[name],
      kb(cost.resident),
      kb(cost.collected),
      kb(live),
      kb(cost.heap),
      kb(cost.external),
      whole(cost.before / 2 ** 20),
      whole(cost.with / 2 ** 20)
    ])
    if (name === "weirgate") {
      goal("memory of a waiting stream", false, 40, " KB", Math.max(cost.resident, live) / 1024)
    }
  }
  section(
    `${whole(waiting)} streams that wait: KB for each`,
    table(
      ["", "RSS", "RSS, collected", "alive", "on the heap", "outside it", "RSS before, MB", "RSS with them, MB"],
      rows
    ),
    "RSS may grow by less than what is alive: what the warm-up has left is used again. The larger of the two counts."
  )
  await stop(mock.process)
  await stopAll()
}

const build = () => {
  const { status } = spawnSync("npm", ["run", "-s", "build"], {
    cwd: join(import.meta.dirname, "../.."),
    stdio: "inherit"
  })
  if (status !== 0) throw new Error("the build failed")
}

process.on("SIGINT", () => void stopAll().then(() => process.exit(130)))
try {
  if (values.nice !== undefined) prioritise(Number(values.nice))
  if (!values["no-build"]) build()
  if (parts.includes("whole") || parts.includes("open")) await wholeAnswers()
  if (parts.includes("streams")) await streams()
  if (parts.includes("waiting")) await waitingStreams()
  const summary = goals(reached)
  say(`\n${summary}`)
  // Part of a run is no result to keep.
  if (parts.length === 4 && count >= 5) {
    const nice = values.nice === undefined ? "" : ` --nice=${values.nice}`
    const command = `npm run bench:proxy -- --rounds ${count} --seconds ${seconds} --c ${callers}${nice}`
    const pinned = isPinned
      ? "the contender has core 0 to itself, the upstream and the client share core 1"
      : "nothing is pinned to a core"
    record("bench:proxy", command, [pinned], [summary, ...sections].join("\n\n"))
  }
} finally {
  await stopAll()
}
process.exit()
