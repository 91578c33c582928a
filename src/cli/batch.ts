/** Gets a file of requests done, and shows how it goes. */
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { Config, Console, Duration, Effect, Layer, Runtime, Schedule, Schema } from "effect"
import { HttpClient, HttpClientResponse } from "effect/http"
import { Batch, type BatchJob, type RunningBatch } from "../batch/Batch.ts"
import { FileLock } from "../batch/FileLock.ts"
import * as ProgressText from "../batch/progressText.ts"
import * as ServerAnswerer from "../batch/serverAnswerer.ts"
import { variable } from "../config/environment.ts"
import { Settings } from "../config/Settings.ts"
import { broker, settings } from "./layers.ts"
import { localUrl } from "./RunningServer.ts"

export interface BatchFlags extends BatchJob {
  /** Sends it through the server there, instead of calling upstreams from this process. */
  readonly server?: string | undefined
}

/** Not every line was answered; the files say which. The process ends with 2. */
export class LinesUnanswered extends Schema.TaggedError<LinesUnanswered>()("LinesUnanswered", {
  failed: Schema.Int,
  rejected: Schema.Int
}) {
  override readonly [Runtime.errorExitCode] = 2
  override get message() {
    const parts = [
      ...(this.failed > 0 ? [`${this.failed} failed`] : []),
      ...(this.rejected > 0 ? [`${this.rejected} set aside`] : [])
    ]
    return `not every line was answered: ${parts.join(", ")}`
  }
}

/** A server runs already, on the same settings. */
export class ServerRuns extends Schema.TaggedError<ServerRuns>()("ServerRuns", { url: Schema.String }) {
  override get message() {
    return (
      `a server answers at ${this.url}: the limits would be spent twice. ` +
      `Send the batch through it with --server ${this.url}, or stop it; ` +
      `if it has other upstreams than this command, give this one a WEIRGATE_PORT of its own`
    )
  }
}

export const batch = Effect.fnUntraced(function* ({ server, ...job }: BatchFlags) {
  if (server === undefined) yield* here(job)
  else yield* through(server, job)
})

/** With the upstreams of this process. */
const here = (job: BatchJob) =>
  Effect.gen(function* () {
    yield* alone
    const { traffic } = yield* Settings
    // What the governor's line does not take is refused: it shall never come to that.
    const line = Math.max(1, Math.min(100, Math.floor(traffic.queue.limit / 2)))
    yield* Effect.provide(shown({ line, ...job }), Batch.layer.pipe(Layer.provide(broker)))
  }).pipe(Effect.provide(Layer.mergeAll(settings, NodeHttpClient.layerUndici)))

/** With those of a server, which may be anywhere. */
const through = (url: string, job: BatchJob) =>
  Effect.gen(function* () {
    const apiKey = yield* variable("WEIRGATE_API_KEY", Config.Redacted)
    const answerer = ServerAnswerer.layer({ url, apiKey }).pipe(Layer.provide(NodeHttpClient.layerUndici))
    yield* Effect.provide(shown(job), Batch.layerNoDeps.pipe(Layer.provide([answerer, FileLock.layer])))
  })

const alone = Effect.gen(function* () {
  const url = localUrl((yield* Settings).server)
  const answers = yield* HttpClient.get(`${url}/healthz`).pipe(
    Effect.flatMap(HttpClientResponse.schemaBodyJson(Schema.Struct({ status: Schema.Literal("ok") }))),
    Effect.timeout("2 seconds"),
    Effect.isSuccess
  )
  if (answers) return yield* new ServerRuns({ url })
})

const shown = Effect.fnUntraced(function* (job: BatchJob) {
  const run = yield* Batch.use((batch) => batch.start(job))
  yield* Effect.forkScoped(process.stderr.isTTY ? drawing(run) : logging(run))
  const ended = yield* Effect.onInterrupt(run.ended, () => stopped(run))
  yield* tell(eraseLine)
  yield* Console.log(ProgressText.summary(ended))
  const failed = ProgressText.failedOf(ended) + ended.before.failed
  if (failed + ended.rejected > 0) return yield* new LinesUnanswered({ failed, rejected: ended.rejected })
}, Effect.scoped)

const tell = (text: string) => Effect.sync(() => void (text !== "" && process.stderr.write(text)))

const eraseLine = process.stderr.isTTY ? "\r\u001b[2K" : ""

/** As wide as the terminal is at that moment. */
const drawing = ({ progress }: RunningBatch) =>
  progress.pipe(
    Effect.flatMap((now) => tell(eraseLine + ProgressText.bar(now, (process.stderr.columns ?? 80) - 1))),
    Effect.repeat(Schedule.spaced("1 second"))
  )

const logging = ({ progress }: RunningBatch) =>
  Effect.flatMap(progress, (now) => tell(`${ProgressText.logged(now)}\n`)).pipe(
    Effect.schedule(Schedule.spaced("10 seconds"))
  )

const interrupted = 130
const grace = Duration.seconds(5)

/** Told to stop: what is under way gets a moment, unless it is told once more. */
const stopped = (run: RunningBatch) =>
  Effect.gen(function* () {
    process.exitCode = interrupted
    yield* tell(`${eraseLine}Stopping: what is under way gets ${Duration.format(grace)}; once more ends it at once\n`)
    yield* Effect.forkScoped(Effect.delay(endingAtOnce, echo))
    yield* run.stop(grace)
    const { done, total } = yield* run.progress
    const of = total === undefined ? "" : ` of ${total}`
    yield* tell(`${eraseLine}${done}${of} lines are done; the same command goes on with the rest\n`)
  }).pipe(Effect.scoped)

/** Of one Ctrl-C, npm hands on what the terminal has told us already. */
const echo = "500 millis"

const endingAtOnce = Effect.sync(() => {
  for (const signal of signals) process.once(signal, () => process.exit(interrupted))
})

const signals = ["SIGINT", "SIGTERM"] as const
