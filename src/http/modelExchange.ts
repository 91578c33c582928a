/** One request for a model, from its headers to the end of its answer, on Node's own request and response. */
import { Cause, Effect, Exit, Scope } from "effect"
import type { Fiber } from "effect"
import type { IncomingMessage, ServerResponse } from "node:http"
import { nameOf } from "../domain/Provider.ts"
import type { Gateway } from "../traffic/Gateway.ts"
import type { GatewayFailure } from "../traffic/GatewayFailure.ts"
import { defaultPriority, type GatewayRequest } from "../traffic/GatewayRequest.ts"
import * as Journey from "../traffic/journey.ts"
import type { Traces } from "../traffic/Traces.ts"
import type { Answer, Endpoint, StreamedAnswer, WholeAnswer } from "../upstream/ModelClient.ts"
import { type Exchanges, type Outcome, outcomeOf } from "../overview/Exchanges.ts"
import { type Client, nobody } from "../access/Client.ts"
import type { ClientKeys, Verdict } from "../access/ClientKeys.ts"
import { admitted, isLocalHost, keyOf } from "./Access.ts"
import { type Drain, type UnderWay } from "./Drain.ts"
import { defectAnswer, type WireAnswer, wireAnswer, type WireFailure } from "./Errors.ts"
import { answered, answering, broken, left, toldOf, traceOf } from "./exchangeTrace.ts"
import { BadRequest, ForeignHost, ModelNotAllowed, ShuttingDown } from "./failures.ts"
import { ruleOf } from "./permissions.ts"
import * as ModelRequest from "./modelRequest.ts"
import { readBody } from "./requestBody.ts"
import { writeStream } from "./streamedBody.ts"

/** What all requests have in common. */
export interface Around {
  readonly keys: ClientKeys["Service"]
  /** Of the key that an `Authorization` header shows, on which connection. */
  readonly judge: (authorization: string | undefined, connection: object) => Verdict
  /** Whether no key is needed. */
  readonly isOpen: () => boolean
  readonly maxBodyBytes: number
  readonly gateway: Gateway["Service"]
  readonly drain: Drain["Service"]
  readonly exchanges: Exchanges["Service"]
  readonly traces: Traces["Service"]
  readonly now: () => number
  readonly fork: <A, E>(effect: Effect.Effect<A, E>) => Fiber.Fiber<A, E>
  /** Names a request. */
  readonly nextId: () => string
}

export class ModelExchange implements UnderWay {
  place = -1
  readonly #around: Around
  readonly #endpoint: Endpoint
  readonly #request: IncomingMessage
  readonly #response: ServerResponse
  readonly #id: string
  /** Why it is traced step by step, if it is. */
  #why: "asked" | "sampled" | undefined
  #journey: Journey.Journey
  /** Who asks, once they may. */
  #client: string | undefined
  /** What they ask, once that is read. */
  #asking: GatewayRequest | undefined
  /** What the request holds: by hand, since most hold nothing, and then there is nothing to do for it. */
  readonly #scope = Scope.makeUnsafe()
  /** Gives up what is under way for it. */
  #leave: (() => void) | undefined
  /** Ends the answer that is being streamed. */
  #cut: (() => void) | undefined
  /** Nothing is to be written any more. */
  #isOver = false
  #isCounted = false
  #isClosed = false
  readonly #beganAt: number

  constructor(around: Around, endpoint: Endpoint, request: IncomingMessage, response: ServerResponse) {
    this.#around = around
    this.#endpoint = endpoint
    this.#request = request
    this.#response = response
    this.#id = around.nextId()
    this.#beganAt = around.now()
    this.#why = ModelRequest.wantsExplanation(request.headers) ? "asked" : undefined
    this.#journey = Journey.make(this.#why !== undefined)
  }

  begin(): void {
    const { drain, exchanges, fork, isOpen, judge, keys } = this.#around
    const { headers, socket } = this.#request
    drain.underWay.add(this)
    exchanges.begun()
    this.#response.on("close", () => this.#closed())
    if (isOpen()) return isLocalHost(headers.host) ? this.#heed(nobody) : this.#refuse(new ForeignHost())
    const verdict = judge(headers.authorization, socket)
    if (verdict._tag === "Admitted" || verdict.why !== "unknown") return this.#judged(verdict)
    // Another process may have made it a moment ago.
    fork(Effect.map(keys.judgeAfresh(keyOf(headers.authorization)), (verdict) => this.#judged(verdict)))
  }

  end(): void {
    if (this.#cut !== undefined) return this.#cut()
    this.#refuse(new ShuttingDown())
    this.#leave?.()
  }

  #judged(verdict: Verdict): void {
    if (this.#isOver) return
    const client = admitted(this.#around.keys, verdict, rule)
    return "_tag" in client ? this.#refuse(client) : this.#heed(client)
  }

  /** What a client asks that may. */
  #heed(client: Client): void {
    this.#client = client.name
    if (!ModelRequest.isJson(this.#request.headers["content-type"])) return this.#refuse(ModelRequest.notJsonType)
    readBody(this.#request, this.#around.maxBodyBytes, (body) => {
      try {
        this.#asked(client, body)
      } catch (defect) {
        // Thrown into Node's own callback it would end the process, and every other request with it.
        this.#broke(defect)
        this.#closed()
      }
    })
  }

  #asked(client: Client, body: Uint8Array | BadRequest): void {
    if (this.#isOver) return
    if (body instanceof BadRequest) return this.#refuse(body)
    const wanted = ModelRequest.treatment(this.#request.headers, client)
    if (wanted instanceof BadRequest) return this.#refuse(wanted)
    const asked = ModelRequest.read(this.#endpoint, body)
    if (asked instanceof BadRequest) return this.#refuse(asked)
    let request: GatewayRequest = {
      id: this.#id,
      endpoint: this.#endpoint,
      journey: this.#journey,
      body: asked.body,
      model: asked.model,
      stream: asked.stream,
      client: wanted.client,
      priority: wanted.priority,
      timeout: wanted.timeout
    }
    this.#asking = request
    if (client.models?.has(asked.model) === false) return this.#refuse(new ModelNotAllowed({ model: asked.model }))
    const { fork, gateway, traces } = this.#around
    if (this.#why === undefined && traces.picks(this.#beganAt)) {
      this.#why = "sampled"
      this.#journey = Journey.make(true)
      request = { ...request, journey: this.#journey }
    }
    const leave = gateway.begin(request, (exit) => {
      if (Exit.isSuccess(exit) && exit.value._tag === "Whole") this.#whole(exit.value)
      this.#ended(exit)
    })
    if (leave !== undefined) {
      this.#leave = leave
      return
    }
    const answered = Effect.flatMap(gateway.send(request), (answer) => this.#answer(answer))
    const fiber = fork(Scope.provide(answered, this.#scope))
    this.#leave = () => fiber.interruptUnsafe()
    fiber.addObserver((exit) => this.#ended(exit))
  }

  /** Whether all of it was given. */
  #answer(answer: Answer): Effect.Effect<boolean> {
    if (this.#isOver) return Effect.succeed(false)
    if (answer._tag === "Streamed") return this.#stream(answer)
    this.#whole(answer)
    return Effect.succeed(true)
  }

  #whole({ body, contentType }: WholeAnswer): void {
    this.#write({ status: 200, headers: ["content-type", contentType], body })
  }

  #stream(answer: StreamedAnswer): Effect.Effect<boolean> {
    this.#cut = answer.cut
    const { exchanges, now } = this.#around
    exchanges.streams()
    exchanges.answered(now() - this.#beganAt)
    // Whoever asked for it may look already.
    if (this.#why === "asked") this.#trace(null)
    this.#response.writeHead(200, [...this.#told(), ...streamHeaders])
    return writeStream(this.#response, answer, this.#around.drain.isOver)
  }

  #ended(exit: Exit.Exit<unknown, GatewayFailure>): void {
    const { drain, fork } = this.#around
    drain.underWay.delete(this)
    const closing = Scope.closeUnsafe(this.#scope, exit)
    if (closing !== undefined) fork(closing)
    if (Exit.isSuccess(exit) && this.#cut !== undefined) this.#count(exit.value === true ? "served" : "failed")
    // One whose client has left, or which has been told that we go, has nobody to tell.
    if (Exit.isSuccess(exit) || this.#isOver || Cause.hasInterruptsOnly(exit.cause)) return
    const failure = exit.cause.reasons.find(Cause.isFailReason)?.error
    if (failure !== undefined) return this.#refuse(failure)
    this.#broke(Cause.pretty(exit.cause))
  }

  #broke(defect: unknown): void {
    this.#around.fork(Effect.logError("a request broke", defect).pipe(Effect.annotateLogs({ service: "Http" })))
    this.#write(defectAnswer)
  }

  #refuse(failure: WireFailure): void {
    this.#write(wireAnswer(failure), failure)
  }

  #write({ body, headers, status }: WireAnswer, failure?: WireFailure): void {
    if (this.#isOver) return
    this.#isOver = true
    const outcome = outcomeOf(status)
    this.#count(outcome, status, failure)
    if (outcome === "served") this.#around.exchanges.answered(this.#around.now() - this.#beganAt)
    const length = typeof body === "string" ? Buffer.byteLength(body) : body.length
    this.#response.writeHead(status, [...this.#told(), ...headers, "content-length", String(length)])
    this.#response.end(body)
  }

  #count(outcome: Outcome, status?: number, failure?: WireFailure): void {
    if (this.#isCounted) return
    this.#isCounted = true
    this.#around.exchanges.ended(outcome)
    if (outcome !== "served" || this.#why !== undefined) this.#trace(outcome, status, failure)
  }

  /** `ended` is null while the answer is being streamed. */
  #trace(ended: Outcome | null, status?: number, failure?: WireFailure): void {
    const { now, traces } = this.#around
    const at = now()
    // Whoever may not ask must not push out what others have asked for.
    const why = this.#client === undefined ? undefined : this.#why
    if (why === undefined && !traces.keepsFailure(at)) return
    traces.put(
      traceOf({
        id: this.#id,
        beganAt: this.#beganAt,
        why: why ?? "failed",
        model: this.#asking?.model,
        client: this.#asking?.client ?? this.#client,
        priority: this.#asking && (this.#asking.priority ?? defaultPriority),
        journey: this.#journey,
        outcome: this.#inWords(ended, failure),
        ended,
        status: this.#cut === undefined ? status : 200,
        took: ended === null ? null : at - this.#beganAt
      })
    )
  }

  #inWords(ended: Outcome | null, refusal: WireFailure | undefined): string {
    if (ended === null) return answering
    if (ended === "served") return answered
    if (ended === "left") return left
    // A stream that broke has nothing else to say of it.
    const ofStream = this.#around.drain.isOver() ? new ShuttingDown() : this.#journey.failure
    const failure = this.#cut === undefined ? refusal : ofStream
    return failure === undefined ? broken : toldOf(failure)
  }

  #closed(): void {
    this.#isOver = true
    const { drain, exchanges } = this.#around
    drain.underWay.delete(this)
    if (!this.#isClosed) exchanges.closed(this.#cut !== undefined)
    this.#isClosed = true
    this.#count("left")
    // After an answer that was written to its end this finds nobody at work.
    this.#leave?.()
  }

  /** What became of the request, on each answer, good or bad. */
  #told(): ReadonlyArray<string> {
    const { attempts, queuedMs, target } = this.#journey
    const told = [
      "x-request-id",
      this.#id,
      "x-weirgate-attempts",
      String(attempts),
      "x-weirgate-queue-ms",
      String(Math.round(queuedMs))
    ]
    // A model's name may hold what a header cannot.
    if (target !== undefined) told.push("x-weirgate-target", encodeURI(nameOf(target).toWellFormed()))
    if (this.#why === "asked") told.push("x-weirgate-trace", this.#id)
    return told
  }
}

const rule = ruleOf("calls")

const streamHeaders = ["content-type", "text/event-stream", "cache-control", "no-cache, no-transform"]
