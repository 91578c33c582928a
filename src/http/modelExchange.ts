/** One request for a model, from its headers to the end of its answer, on Node's own request and response. */
import { Cause, Effect, Exit, Scope } from "effect"
import type { Fiber } from "effect"
import type { IncomingMessage, ServerResponse } from "node:http"
import { nameOf } from "../domain/Provider.ts"
import type { Gateway, GatewayFailure, GatewayRequest } from "../traffic/Gateway.ts"
import * as Journey from "../traffic/journey.ts"
import type { Answer, Endpoint, StreamedAnswer, WholeAnswer } from "../upstream/ModelClient.ts"
import { type Client, type Holder, isLocalHost } from "./Access.ts"
import { type Drain, type UnderWay } from "./Drain.ts"
import {
  BadRequest,
  defectAnswer,
  ForeignHost,
  ShuttingDown,
  Unauthorized,
  type WireAnswer,
  wireAnswer
} from "./Errors.ts"
import * as ModelRequest from "./modelRequest.ts"
import { readBody } from "./requestBody.ts"
import { writeStream } from "./streamedBody.ts"

/** What all requests have in common. */
export interface Around {
  /** Whose the key is that an `Authorization` header shows, on which connection. */
  readonly holderOf: (authorization: string | undefined, connection: object) => Holder | undefined
  readonly isOpen: boolean
  readonly maxBodyBytes: number
  readonly gateway: Gateway["Service"]
  readonly drain: Drain["Service"]
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
  readonly #journey: Journey.Journey
  /** What the request holds: by hand, since most hold nothing, and then there is nothing to do for it. */
  readonly #scope = Scope.makeUnsafe()
  /** Gives up what is under way for it. */
  #leave: (() => void) | undefined
  /** Ends the answer that is being streamed. */
  #cut: (() => void) | undefined
  /** Nothing is to be written any more. */
  #isOver = false

  constructor(around: Around, endpoint: Endpoint, request: IncomingMessage, response: ServerResponse) {
    this.#around = around
    this.#endpoint = endpoint
    this.#request = request
    this.#response = response
    this.#id = around.nextId()
    this.#journey = Journey.make(ModelRequest.wantsExplanation(request.headers))
  }

  begin(): void {
    const { drain, maxBodyBytes } = this.#around
    const client = this.#admitted()
    if ("_tag" in client) return this.#refuse(client)
    drain.underWay.add(this)
    this.#response.on("close", () => this.#closed())
    readBody(this.#request, maxBodyBytes, (body) => this.#asked(client, body))
  }

  end(): void {
    if (this.#cut !== undefined) return this.#cut()
    this.#refuse(new ShuttingDown())
    this.#leave?.()
  }

  /** Who asks, as far as its headers tell, or why it is not let in. */
  #admitted(): Client | Unauthorized | ForeignHost | BadRequest {
    const { holderOf, isOpen } = this.#around
    const { headers, socket } = this.#request
    if (isOpen && !isLocalHost(headers.host)) return new ForeignHost()
    const holder = holderOf(headers.authorization, socket)
    if (holder === undefined) return new Unauthorized()
    return ModelRequest.isJson(headers["content-type"]) ? holder() : ModelRequest.notJsonType
  }

  #asked(client: Client, body: Uint8Array | BadRequest): void {
    if (this.#isOver) return
    if (body instanceof BadRequest) return this.#refuse(body)
    const wanted = ModelRequest.treatment(this.#request.headers, client)
    if (wanted instanceof BadRequest) return this.#refuse(wanted)
    const asked = ModelRequest.read(this.#endpoint, body)
    if (asked instanceof BadRequest) return this.#refuse(asked)
    const { fork, gateway } = this.#around
    const request: GatewayRequest = {
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

  #answer(answer: Answer): Effect.Effect<void> {
    if (this.#isOver) return Effect.void
    if (answer._tag === "Streamed") return this.#stream(answer)
    this.#whole(answer)
    return Effect.void
  }

  #whole({ body, contentType }: WholeAnswer): void {
    this.#write({ status: 200, headers: ["content-type", contentType], body })
  }

  #stream(answer: StreamedAnswer): Effect.Effect<void> {
    this.#cut = answer.cut
    this.#response.writeHead(200, [...this.#told(), ...streamHeaders])
    return writeStream(this.#response, answer, this.#around.drain.isOver)
  }

  #ended(exit: Exit.Exit<unknown, GatewayFailure>): void {
    const { drain, fork } = this.#around
    drain.underWay.delete(this)
    const closing = Scope.closeUnsafe(this.#scope, exit)
    if (closing !== undefined) fork(closing)
    // One whose client has left, or which has been told that we go, has nobody to tell.
    if (Exit.isSuccess(exit) || this.#isOver || Cause.hasInterruptsOnly(exit.cause)) return
    const failure = exit.cause.reasons.find(Cause.isFailReason)?.error
    if (failure !== undefined) return this.#refuse(failure)
    fork(Effect.logError("a request broke", Cause.pretty(exit.cause)).pipe(Effect.annotateLogs({ service: "Http" })))
    this.#write(defectAnswer)
  }

  #refuse(failure: Parameters<typeof wireAnswer>[0]): void {
    this.#write(wireAnswer(failure))
  }

  #write({ body, headers, status }: WireAnswer): void {
    if (this.#isOver) return
    this.#isOver = true
    const length = typeof body === "string" ? Buffer.byteLength(body) : body.length
    this.#response.writeHead(status, [...this.#told(), ...headers, "content-length", String(length)])
    this.#response.end(body)
  }

  #closed(): void {
    this.#isOver = true
    this.#around.drain.underWay.delete(this)
    // After an answer that was written to its end this finds nobody at work.
    this.#leave?.()
  }

  /** What became of the request, on each answer, good or bad. */
  #told(): ReadonlyArray<string> {
    const { attempts, queuedMs, steps, target } = this.#journey
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
    if (steps !== undefined) told.push("x-weirgate-trace", this.#id)
    return told
  }
}

const streamHeaders = ["content-type", "text/event-stream", "cache-control", "no-cache, no-transform"]
