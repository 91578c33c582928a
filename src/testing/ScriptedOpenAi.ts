/**
 * OpenAI-compatible upstreams without a wire, for tests: they answer with one word unless they are told to fail or to take
 * their time. Whatever takes time takes it on the `Clock`, so `TestClock` drives it.
 */
import { Cause, Clock, Context, Duration, Effect, Layer } from "effect"
import { type CallFailure, UpstreamUnavailable } from "../domain/Failure.ts"
import { nameOf, type OpenAiProvider, type Target } from "../domain/Provider.ts"
import { type Answer, endpoints, type ModelCall, type ModelClient } from "../upstream/ModelClient.ts"
import { OpenAiClient } from "../upstream/OpenAiClient.ts"

/** The hands of the test: what was asked so far, and what happens next. */
export class ScriptedOpenAi extends Context.Service<
  ScriptedOpenAi,
  {
    /** Calls begun, by target, failed ones included. */
    readonly calls: Effect.Effect<Readonly<Record<string, number>>>
    /** Calls whose scope is not closed yet. */
    readonly open: Effect.Effect<number>
    /** The next `times` calls (default 1) of the target fail so, after those told before. */
    fail(target: Target, failure: CallFailure, times?: number): Effect.Effect<void>
    /** Every call of the target fails so, until it is told `undefined`. */
    outage(target: Target, failure: CallFailure | undefined): Effect.Effect<void>
    /** Each call of the target takes so long from now on, until its first content and from there to its end. */
    slow(target: Target, first: Duration.Input, rest?: Duration.Input): Effect.Effect<void>
    /** The next streamed answer of the target breaks so after its first content. */
    break(target: Target, failure: CallFailure): Effect.Effect<void>
  }
>()("weirgate/testing/ScriptedOpenAi") {
  /** The client and the hands on it. */
  static readonly layer: Layer.Layer<ScriptedOpenAi | OpenAiClient> = Layer.effectContext(Effect.sync(() => make()))
}

interface Script {
  calls: number
  readonly failures: Array<CallFailure>
  readonly breaks: Array<CallFailure>
  outage: CallFailure | undefined
  first: Duration.Duration
  rest: Duration.Duration
}

const make = () => {
  // One for each target that a test names or calls.
  const scripts = new Map<string, Script>()
  let open = 0
  const scriptOf = (target: Target): Script => {
    const known = scripts.get(nameOf(target))
    if (known !== undefined) return known
    const made: Script = {
      calls: 0,
      failures: [],
      breaks: [],
      outage: undefined,
      first: Duration.zero,
      rest: Duration.zero
    }
    scripts.set(nameOf(target), made)
    return made
  }

  const answerOf = (call: ModelCall, { breaks, rest }: Script): Answer => {
    if (!call.stream) {
      const choice = { index: 0, message: { role: "assistant", content: "ok" }, finish_reason: "stop" }
      return {
        _tag: "Whole",
        contentType: "application/json",
        body: json({ ...common(call), choices: [choice] }),
        usage
      }
    }
    const broken = breaks.shift()
    let left = [event(call, {}, "stop"), done]
    let isCut = false
    return {
      _tag: "Streamed",
      first: event(call, { role: "assistant", content: "ok" }, null),
      next: Effect.suspend((): Effect.Effect<Uint8Array, CallFailure | Cause.Done> => {
        if (isCut) return Effect.fail(ended(call))
        const next = left[0]
        left = left.slice(1)
        if (next === undefined) return Cause.done()
        const waits = next === done ? Effect.void : Effect.sleep(rest)
        return Effect.andThen(waits, broken === undefined ? Effect.succeed(next) : Effect.fail(broken))
      }),
      cut: () => {
        isCut = true
      },
      usage: () => usage
    }
  }

  const clientOf = ({ name }: OpenAiProvider): ModelClient => ({
    endpoints: new Set(endpoints),
    call: (call) =>
      Effect.gen(function* () {
        const script = scriptOf({ provider: name, model: call.model })
        script.calls++
        yield* Effect.acquireRelease(
          Effect.sync(() => void open++),
          () => Effect.sync(() => void open--)
        )
        call.sent()
        const failure = script.outage ?? script.failures.shift()
        const patience = Math.min(
          Duration.toMillis(call.stream ? call.timeouts.firstToken : call.timeouts.headers),
          call.deadline - (yield* Clock.currentTimeMillis)
        )
        const first = Duration.toMillis(script.first)
        if (first > 0) yield* Effect.sleep(Math.min(first, patience))
        if (first > patience) return yield* silent(name)
        if (failure !== undefined) return yield* failure
        return answerOf(call, script)
      })
  })

  const hands = ScriptedOpenAi.of({
    calls: Effect.sync(() => Object.fromEntries([...scripts].map(([target, { calls }]) => [target, calls]))),
    open: Effect.sync(() => open),
    fail: (target, failure, times = 1) =>
      Effect.sync(() => void scriptOf(target).failures.push(...Array.from({ length: times }, () => failure))),
    outage: (target, failure) =>
      Effect.sync(() => {
        scriptOf(target).outage = failure
      }),
    slow: (target, first, rest = Duration.zero) =>
      Effect.sync(() => {
        const script = scriptOf(target)
        script.first = Duration.fromInputUnsafe(first)
        script.rest = Duration.fromInputUnsafe(rest)
      }),
    break: (target, failure) => Effect.sync(() => void scriptOf(target).breaks.push(failure))
  })
  return Context.make(ScriptedOpenAi, hands).pipe(Context.add(OpenAiClient, OpenAiClient.of({ of: clientOf })))
}

const ended = ({ model }: ModelCall) =>
  new UpstreamUnavailable({ provider: "scripted", reason: "internal", detail: `the answer of ${model} was ended here` })
const silent = (provider: string) =>
  new UpstreamUnavailable({ provider, reason: "timeout", detail: "it has said nothing in time" })
const usage = { prompt: 1, completion: 1 }
const encoder = new TextEncoder()
const json = (value: object) => encoder.encode(JSON.stringify(value))
const common = ({ model }: ModelCall) => ({ id: "chatcmpl-scripted", created: 0, model, object: "chat.completion" })
const event = (call: ModelCall, delta: object, finishReason: string | null) =>
  encoder.encode(
    `data: ${JSON.stringify({
      ...common(call),
      object: "chat.completion.chunk",
      choices: [{ index: 0, delta, finish_reason: finishReason }]
    })}\n\n`
  )
const done = encoder.encode("data: [DONE]\n\n")
