/** One run of a batch: reads, asks, and writes. */
import { Cause, Clock, Duration, Effect, Exit, Fiber, FileSystem, Latch, Random, Schedule, Scope } from "effect"
import type { ProviderStanding } from "../traffic/Governor.ts"
import * as AnswerFile from "./answerFile.ts"
import * as AnswerLine from "./answerLine.ts"
import { Answerer, type Asked } from "./Answerer.ts"
import type { BatchFailure, BatchJob, BatchProgress, BatchSummary, RunningBatch } from "./Batch.ts"
import { FileLock } from "./FileLock.ts"
import * as Files from "./files.ts"
import * as Input from "./input.ts"
import * as Patience from "./patience.ts"
import type { Question } from "./requestLine.ts"
import * as SetAside from "./setAside.ts"
import * as Tally from "./tally.ts"
import { waitsFor } from "./waitsFor.ts"
import * as Width from "./width.ts"

/** A request that has been taken up and not answered yet. */
interface Held {
  readonly question: Question
  patience: Patience.Patience
  /** While it is asked. */
  isAtWork: (() => boolean) | undefined
  fiber: Fiber.Fiber<void, BatchFailure> | undefined
}

/** The most requests that are held at once, and the most bytes of their bodies: whatever is longer is held alone. */
const mostHeld = 1_000
const mostBytes = 64 * 1024 * 1024

const defaults = { priority: 0, line: 100, giveUpAfter: "24 hours", timeout: "10 minutes", client: "batch" } as const

export const start = Effect.fnUntraced(function* (
  job: BatchJob
): Effect.fn.Return<RunningBatch, BatchFailure, Answerer | FileLock | FileSystem.FileSystem | Scope.Scope> {
  const answerer = yield* Answerer
  const clock = yield* Clock.Clock
  const scope = yield* Effect.scope
  const now = () => clock.currentTimeMillisUnsafe()
  const width = Math.max(1, job.width ?? mostHeld)
  const line = Math.max(1, job.line ?? defaults.line)
  const giveUpAfter = Duration.fromInputUnsafe(job.giveUpAfter ?? defaults.giveUpAfter)
  const treatment = {
    priority: job.priority ?? defaults.priority,
    timeout: Duration.fromInputUnsafe(job.timeout ?? defaults.timeout),
    client: job.client ?? defaults.client
  }

  const files = yield* Files.of(job)
  const startedAt = now()
  const tally = Tally.make(startedAt)
  const known = Input.makeKnown()
  const output = yield* AnswerFile.open(files.output, (id, print) => known.found(id, print, false))
  const errors = yield* AnswerFile.open(files.errors, (id, print) => known.found(id, print, true))
  const take = yield* Input.open(files.input, known, yield* SetAside.make(files.rejected), tally)

  const held = new Set<Held>()
  // Those of them that are to be asked now.
  const due: Array<Held> = []
  let bytes = 0
  let asking = 0
  let isRead = false
  let isStopping = false
  let grace = Duration.seconds(5)
  let broken: Cause.Cause<BatchFailure> | undefined
  let total: number | undefined
  let trouble: string | undefined
  // By model, and only of those that are served.
  const answeredOf = new Map<string, number>()
  const changed = Latch.makeUnsafe(false)

  const drop = (one: Held) => {
    held.delete(one)
    bytes -= one.question.body.bytes.length
  }

  /** Writes what is final; else answers how long until the next try. */
  const settle = Effect.fnUntraced(function* (one: Held, asked: Asked) {
    const { question } = one
    const answered = answeredOf.get(question.model) ?? 0
    const circumstances = { now: now(), answered, giveUpAfter, chance: yield* Random.next }
    const verdict = Patience.judge(one.patience, asked, circumstances)
    if (verdict._tag === "Again") {
      one.patience = verdict.patience
      tally.retries++
      if (asked._tag === "Unanswered") trouble = asked.reason
      return verdict.pause
    }
    const { failure, outcome } = verdict
    yield* (failure === undefined ? output : errors).append(AnswerLine.written(question, outcome))
    tally.ended(now())
    if (failure === undefined) {
      tally.answered++
      answeredOf.set(question.model, answered + 1)
    } else tally.failed.set(failure, (tally.failed.get(failure) ?? 0) + 1)
    if (asked._tag === "Answered") tally.spent(asked.usage)
    return undefined
  })

  /** An answer that has come is written, whatever happens meanwhile; until it is, no other is asked in its place. */
  const ask = (one: Held) =>
    Effect.uninterruptibleMask((restore) =>
      Effect.gen(function* () {
        const { asked, isAtWork } = answerer.ask(one.question, treatment)
        asking++
        one.isAtWork = isAtWork
        const pause = yield* Effect.onExit(
          Effect.flatMap(restore(asked), (told) => settle(one, told)),
          () =>
            Effect.sync(() => {
              asking--
              one.isAtWork = undefined
            })
        )
        if (pause === undefined) return drop(one)
        if (isStopping) return
        changed.openUnsafe()
        yield* restore(Effect.sleep(pause))
        due.push(one)
      })
    ).pipe(
      Effect.onExit((exit) =>
        Effect.sync(() => {
          if (Exit.isFailure(exit) && !Cause.hasInterruptsOnly(exit.cause)) broken ??= exit.cause
          changed.openUnsafe()
        })
      )
    )

  /** With nobody there to answer them, a few are enough to see when there is. */
  const mayHold = (standings: ReadonlyArray<ProviderStanding>) =>
    standings.some((standing) => Width.isInOrder(standing, now()))
      ? held.size < Math.max(mostHeld, width) && (bytes < mostBytes || held.size === 0)
      : held.size < Width.fewest

  const next = Effect.gen(function* () {
    const question = yield* take
    if (question === undefined) {
      isRead = true
      return undefined
    }
    const one: Held = { question, patience: Patience.begin(now()), isAtWork: undefined, fiber: undefined }
    held.add(one)
    bytes += question.body.bytes.length
    return one
  })

  const feed = Effect.gen(function* () {
    while (true) {
      changed.closeUnsafe()
      if (isStopping) return
      if (broken !== undefined) return yield* Effect.failCause(broken)
      const standings = yield* answerer.standings
      if (asking < Math.min(width, Width.inUse(standings) + Width.worthWaiting(standings, now(), line))) {
        const one = due.shift() ?? (!isRead && mayHold(standings) ? yield* next : undefined)
        if (one !== undefined) {
          one.fiber = yield* Effect.forkIn(ask(one), scope, { startImmediately: true })
          continue
        }
        if (isRead && held.size === 0) return
      }
      yield* changed.await
    }
  })

  /** Those that wait lose nothing, those at work get a moment. */
  const windDown = Effect.gen(function* () {
    const under = [...held].filter(({ isAtWork }) => isAtWork?.() === true)
    const fibersOf = (of: ReadonlyArray<Held>) => of.flatMap(({ fiber }) => (fiber === undefined ? [] : [fiber]))
    yield* Fiber.interruptAll(fibersOf([...held].filter((one) => !under.includes(one))))
    yield* Effect.timeoutOption(Fiber.awaitAll(fibersOf(under)), grace)
    yield* Fiber.interruptAll(fibersOf(under))
    if (broken !== undefined) return yield* Effect.failCause(broken)
  })

  const counts = () => ({
    answered: tally.answered,
    failed: Object.fromEntries(tally.failed),
    rejected: tally.rejected,
    before: { answered: tally.answeredBefore, failed: tally.failedBefore },
    changed: known.changed(),
    retries: tally.retries,
    tokens: { prompt: tally.prompt, completion: tally.completion },
    elapsed: Duration.millis(now() - startedAt)
  })

  const main = Effect.gen(function* () {
    yield* feed
    if (isStopping) yield* windDown
    yield* output.sync
    yield* errors.sync
    return { ...counts(), files, isComplete: isRead && held.size === 0 } satisfies BatchSummary
  })

  const progress = Effect.gen(function* () {
    const standings = yield* answerer.standings
    const done = tally.answered + Tally.sum(tally.failed) + tally.rejected + tally.answeredBefore + tally.failedBefore
    let atWork = 0
    for (const { isAtWork } of held) if (isAtWork?.() === true) atWork++
    const pausing = held.size - asking
    const rate = tally.rate(now())
    return {
      ...counts(),
      total,
      done,
      atWork,
      inLine: asking - atWork,
      pausing,
      rate,
      left: total === undefined || rate === 0 ? undefined : Duration.seconds(Math.ceil((total - done) / rate)),
      waitsFor: held.size > atWork ? waitsFor(standings, now()) : [],
      trouble: pausing > 0 ? trouble : undefined
    } satisfies BatchProgress
  })

  yield* Effect.forkScoped(Effect.ignore(Effect.map(Input.count(files.input), (lines) => void (total = lines))))
  // What has become free by itself, or by others, is noticed within a second.
  yield* Effect.forkScoped(
    Effect.repeat(
      Effect.sync(() => changed.openUnsafe()),
      Schedule.spaced("1 second")
    )
  )
  const running = yield* Effect.forkScoped(main)
  const ended = Fiber.join(running)

  return {
    files,
    progress,
    ended,
    stop: (given = grace) =>
      Effect.suspend(() => {
        grace = Duration.fromInputUnsafe(given)
        isStopping = true
        changed.openUnsafe()
        return Effect.asVoid(Fiber.await(running))
      })
  }
})
