/** One call on the wire, from its request to the end of its answer, driven by undici's callbacks and the watchdog. */
import { type Clock, Exit, Redacted } from "effect"
import type { Dispatcher } from "undici"
import { type CallFailure, UpstreamUnavailable } from "../../domain/Failure.ts"
import type { Answer, Endpoint, ModelCall, StreamedAnswer } from "../ModelClient.ts"
import { type AnswerReader, type Asked, readerOf, type Standing } from "./answerReader.ts"
import type { CallMetrics, Result } from "./callMetrics.ts"
import { classify } from "./classify.ts"
import type { Connection, Connections } from "./connections.ts"
import { type Course, type Due, dueOf, type Limits } from "./deadlines.ts"
import { Outbox } from "./outbox.ts"
import { requestOf } from "./request.ts"
import { headersOf } from "./responseHeaders.ts"
import type { Headers } from "./statedWait.ts"
import { transportFailure } from "./transportFailure.ts"
import type { Watchdog, Watched } from "./watchdog.ts"

/** What the calls to one provider have in common. */
export interface Host {
  readonly provider: string
  readonly origin: string
  readonly pathOf: (endpoint: Endpoint) => string
  readonly connections: Connections
  readonly watchdog: Watchdog
  readonly clock: Clock.Clock
  readonly metrics: CallMetrics
}

/** Beyond this many bytes that nobody has taken, no more are read. */
const highWater = 64 * 1024

export class Exchange implements Dispatcher.DispatchHandler, Watched, Course, Asked {
  readonly limits: Limits
  readonly startedAt: number
  readonly deadline: number
  readonly stream: boolean
  readonly provider: string
  readonly endpoint: Endpoint
  phase: Course["phase"] = "connecting"
  sentAt = 0
  heardAt = 0
  hasContent = false
  isPaused = false
  place = -1

  readonly #host: Host
  readonly #call: ModelCall
  #settle: (outcome: Exit.Exit<Answer, CallFailure>) => void = ignored
  #isSettling = false
  /** Nobody waits for anything any more; at most the connection is still to end. */
  #isOver = false
  #failure: CallFailure | undefined
  #connection: Connection | undefined
  #controller: Dispatcher.DispatchController | undefined
  #status = 0
  #headers: Headers = {}
  #reader: AnswerReader | undefined
  #outbox: Outbox | undefined

  constructor(host: Host, call: ModelCall, limits: Limits) {
    this.#host = host
    this.#call = call
    this.limits = limits
    this.startedAt = this.#now()
    this.deadline = call.deadline
    this.stream = call.stream
    this.provider = host.provider
    this.endpoint = call.endpoint
  }

  /** `settle` is told once what has become of the call, not before this returns, unless it is left. */
  start(settle: (outcome: Exit.Exit<Answer, CallFailure>) => void): void {
    const { connections, origin, pathOf, watchdog } = this.#host
    this.#settle = settle
    const due = this.due()
    if (due.at <= this.startedAt) return this.late(due)
    const request = requestOf(pathOf(this.#call.endpoint), this.#call)
    this.#connection = connections.take(origin)
    if (this.#connection === undefined) {
      return this.#stand(this.#unavailable("connection", "no more connections are made to it"))
    }
    watchdog.watch(this)
    this.#connection.dispatch(request, this)
  }

  /** Nobody waits for the answer any more. One that is complete leaves its connection to end by itself. */
  readonly leave = (): void => this.#leave()

  due(): Due {
    return dueOf(this)
  }

  late({ why }: Due): void {
    this.#broke(this.#unavailable("timeout", why))
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    if (this.#isOver) return controller.abort(givenUp)
    this.#controller = controller
    this.sentAt = this.#now()
    this.phase = "sent"
    this.#call.sent()
    this.#host.watchdog.watch(this)
  }

  onResponseStart(
    _: Dispatcher.DispatchController,
    status: number,
    headers: Parameters<NonNullable<Dispatcher.DispatchHandler["onResponseStart"]>>[2]
  ): void {
    // Before the answer proper there may come such as 103.
    if (this.#isOver || status < 200) return
    this.heardAt = this.#now()
    this.phase = status < 300 ? "answering" : "refused"
    this.#status = status
    this.#headers = headersOf(headers)
    this.#host.metrics.answered(this.heardAt - this.sentAt)
    const reader = readerOf(this, status, this.#headers)
    if ("_tag" in reader) return this.#stand(reader)
    this.#reader = reader
    this.#host.watchdog.watch(this)
  }

  onResponseData(_: Dispatcher.DispatchController, bytes: Buffer): void {
    const reader = this.#reader
    if (this.#isOver || reader === undefined) return
    this.heardAt = this.#now()
    this.#stand(reader.take(bytes))
    if (
      this.hasContent &&
      !this.#isOver &&
      !this.isPaused &&
      this.#outbox !== undefined &&
      this.#outbox.size > highWater
    ) {
      this.isPaused = true
      this.#controller?.pause()
    }
  }

  onResponseEnd(): void {
    this.#connection?.release()
    this.#connection = undefined
    if (this.#isOver) return this.#host.watchdog.release(this)
    if (this.#reader !== undefined) this.#stand(this.#reader.end())
  }

  onResponseError(_: Dispatcher.DispatchController | null, error: Error): void {
    const phase = this.phase === "connecting" || this.phase === "sent" ? this.phase : "answering"
    this.#broke(transportFailure(this.provider, phase, error))
  }

  #broke(failure: CallFailure): void {
    if (!this.#isOver) this.#stand(this.#reader?.broke(failure) ?? failure)
    this.#abort()
  }

  #stand(standing: Standing): void {
    if (standing === "open") return
    if (standing === "begun") {
      this.hasContent = true
      this.#settleSoon(this.#streamed)
    } else if (standing === "complete") {
      this.#over("ok")
      this.#outbox?.end()
      this.#settleSoon(this.#streamed)
      this.#partSoon()
    } else if (standing._tag === "Whole") {
      this.#over("ok")
      // All of it has been read, so there is nothing to wait for.
      this.#isSettling = true
      this.#settle(Exit.succeed(standing))
    } else {
      this.#failure = standing
      this.#over(standing._tag)
      this.#abort()
      this.#outbox?.end(standing)
      this.#settleSoon(() => Exit.fail(standing))
    }
  }

  /** What fails before anyone was given anything of it has failed as a whole. */
  readonly #streamed = (): Exit.Exit<StreamedAnswer, CallFailure> => {
    if (this.#failure !== undefined) return Exit.fail(this.#failure)
    const outbox = this.#outbox ?? new Outbox(() => undefined)
    return Exit.succeed({
      _tag: "Streamed",
      first: outbox.take(),
      next: outbox.next,
      cut: () => {
        outbox.cut(this.#unavailable("internal", "the answer was ended here"))
        this.#leave()
      },
      usage: () => this.#reader?.usage
    })
  }

  /** Not within undici's callback, and not before all has been read that the socket has brought. */
  #settleSoon(outcome: () => Exit.Exit<Answer, CallFailure>): void {
    if (this.#isSettling) return
    this.#isSettling = true
    void soon.then(() => this.#settle(outcome()))
  }

  pass(bytes: Buffer): void {
    this.#outbox ??= new Outbox(() => this.#resume())
    this.#outbox.put(bytes)
  }

  #resume(): void {
    if (!this.isPaused) return
    this.isPaused = false
    this.heardAt = this.#now()
    if (!this.#isOver) this.#host.watchdog.watch(this)
    this.#controller?.resume()
  }

  /** The answer is complete, and the end of the connection is not waited for, only watched. */
  #partSoon(): void {
    if (this.#connection === undefined) return
    this.phase = "complete"
    this.heardAt = this.#now()
    this.#host.watchdog.watch(this)
  }

  #leave(): void {
    if (this.#isOver) return
    this.#over("interrupted")
    this.#abort()
  }

  #over(result: Result): void {
    this.#isOver = true
    this.#host.watchdog.release(this)
    this.#host.metrics.ended(this.#call.endpoint, result)
  }

  #abort(): void {
    this.#host.watchdog.release(this)
    const connection = this.#connection
    this.#connection = undefined
    if (connection === undefined) return
    this.#controller?.abort(givenUp)
    connection.drop()
  }

  classified(body: string): CallFailure {
    const { endpoint, model, token } = this.#call
    const secret = Redacted.value(token.access)
    return classify(
      {
        status: this.#status,
        headers: this.#headers,
        // Should the upstream quote what it was sent, the secret in it does not come back.
        body: secret === "" ? body : body.replaceAll(secret, "…")
      },
      { provider: this.provider, token: token.id, model, endpoint, now: this.#now() }
    )
  }

  #unavailable(reason: UpstreamUnavailable["reason"], detail: string): UpstreamUnavailable {
    return new UpstreamUnavailable({ provider: this.provider, reason, detail })
  }

  #now(): number {
    return this.#host.clock.currentTimeMillisUnsafe()
  }
}

/** Not `queueMicrotask`: Node makes an asynchronous resource for each. */
const soon = Promise.resolve()
const givenUp = new Error("the call was given up")
const ignored = () => undefined
