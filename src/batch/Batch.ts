/** Gets a file of requests done, over any number of interruptions: each is answered once, as soon as the limits let it. */
import { Context, Duration, Effect, FileSystem, Layer } from "effect"
import type { Scope } from "effect"
import type { Gateway } from "../traffic/Gateway.ts"
import type { Governor } from "../traffic/Governor.ts"
import type { BatchFileUnusable } from "./answerFile.ts"
import { Answerer } from "./Answerer.ts"
import { FileLock, type FileLocked } from "./FileLock.ts"
import * as Run from "./run.ts"

export interface BatchJob {
  /** In OpenAI's batch input format: one request a line. A file, since it is read again by the run that resumes. */
  readonly input: string
  /** Default: the input's name with `.output.jsonl` in place of `.jsonl`. */
  readonly output?: string | undefined
  /** Default: the output's name with `.errors.jsonl`; without `output`, the input's. */
  readonly errors?: string | undefined
  /** 0 to 9 (default 0: people go first). */
  readonly priority?: number | undefined
  /** The most requests that are at work or in line at once (default 1000: with limits, they are far fewer). */
  readonly width?: number | undefined
  /** The most that wait in line (default 100), should more be able to start at one instant. */
  readonly line?: number | undefined
  /** After how long a request that gets no answer is given up (default 24 hours: OpenAI's window), from when it was first asked. */
  readonly giveUpAfter?: Duration.Input | undefined
  /** For one try of a request, its wait in line included (default 10 minutes). */
  readonly timeout?: Duration.Input | undefined
  /** Under which name its requests take turns with those of others (default `batch`). */
  readonly client?: string | undefined
}

export interface BatchFiles {
  readonly input: string
  /** An answer a line, in the order in which they came. */
  readonly output: string
  /** Requests that were refused or given up, in the same format. */
  readonly errors: string
  /** Lines that are no requests, each with its number and what is wrong with it. There only when there are some. */
  readonly rejected: string
}

export interface BatchCounts {
  /** By this run. */
  readonly answered: number
  /** By this run: by status and code, such as `400 context_length_exceeded`, or `batch_expired`. */
  readonly failed: Readonly<Record<string, number>>
  /** Lines that are no requests. */
  readonly rejected: number
  /** Found done: by earlier runs. */
  readonly before: { readonly answered: number; readonly failed: number }
  /** Found done, but with another body: what was answered then stays. */
  readonly changed: number
  /** Tries that were not the last of their request. */
  readonly retries: number
  /** Model tokens of the answers of this run, as far as they were told. */
  readonly tokens: { readonly prompt: number; readonly completion: number }
  readonly elapsed: Duration.Duration
}

export interface BatchProgress extends BatchCounts {
  /** Lines that are not blank; undefined while they are being counted. */
  readonly total: number | undefined
  /** Those that need no more work, whatever came of them. */
  readonly done: number
  readonly atWork: number
  /** In the governor's line. */
  readonly inLine: number
  /** Between two tries. */
  readonly pausing: number
  /** Ends in a second, over the last minute. */
  readonly rate: number
  /** Undefined while nobody can tell. */
  readonly left: Duration.Duration | undefined
  /** What those in line wait for, in words; empty when nobody waits. */
  readonly waitsFor: ReadonlyArray<string>
  /** Why a request was last not answered; undefined when none is between two tries. */
  readonly trouble: string | undefined
}

export interface BatchSummary extends BatchCounts {
  readonly files: BatchFiles
  /** False when it was stopped: to be run again. */
  readonly isComplete: boolean
}

export type BatchFailure = BatchFileUnusable | FileLocked

export interface RunningBatch {
  readonly files: BatchFiles
  /** Never waits. */
  readonly progress: Effect.Effect<BatchProgress>
  /**
   * Takes up no more requests, takes those that wait out of the line, gives those at work `grace` (default 5 seconds) and then
   * breaks them off: the next run asks them again. Waits until `ended`.
   */
  stop(grace?: Duration.Input): Effect.Effect<void>
  /** Waits until every line is done, or it has been stopped, and all that was answered is on the disk. */
  readonly ended: Effect.Effect<BatchSummary, BatchFailure>
}

export class Batch extends Context.Service<
  Batch,
  {
    /**
     * Reads what earlier runs have done, cutting off a last line that was torn, and begins. Closing the scope breaks it off
     * at once; nothing that was written is lost, and calls that are broken off are made again by the next run.
     */
    start(job: BatchJob): Effect.Effect<RunningBatch, BatchFailure, Scope.Scope>
    /** The same, to its end. Interruption breaks it off at once. */
    run(job: BatchJob): Effect.Effect<BatchSummary, BatchFailure>
  }
>()("weirgate/batch/Batch") {
  /** On whoever answers, and whatever the files are. */
  static readonly layerNoDeps: Layer.Layer<Batch, never, Answerer | FileLock | FileSystem.FileSystem> = Layer.effect(
    Batch,
    Effect.gen(function* () {
      // Without the layer's own scope: what a run holds is its caller's.
      const services = Context.pick(
        Answerer,
        FileLock,
        FileSystem.FileSystem
      )(yield* Effect.context<Answerer | FileLock | FileSystem.FileSystem>())
      const start = (job: BatchJob) => Effect.provideContext(Run.start(job), services)
      return Batch.of({
        start,
        run: (job) => Effect.scoped(Effect.flatMap(start(job), ({ ended }) => ended))
      })
    })
  )

  /** On the gateway of this process. */
  static readonly layer: Layer.Layer<Batch, never, Gateway | Governor | FileSystem.FileSystem> = Batch.layerNoDeps.pipe(
    Layer.provide([Answerer.layer, FileLock.layer])
  )
}
