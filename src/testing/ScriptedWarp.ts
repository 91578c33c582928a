/**
 * A `WarpClient` without a wire, for tests: it makes users, counts what they spend and fails when told to. Whatever takes
 * time takes it on the `Clock`, so `TestClock` drives it. Its users and quotas live as long as the layer.
 */
import { Clock, Context, Duration, Effect, Layer, Redacted, Stream } from "effect"
import { warpProvider } from "../domain/Provider.ts"
import { ChatEvent, type ChatRequest } from "../domain/Chat.ts"
import { AccessRejected, MintingDisabled, QuotaExhausted, RefreshRejected } from "../domain/Failure.ts"
import type { CallFailure, CreateFailure, RenewFailure } from "../domain/Failure.ts"
import type { TokenId } from "../domain/Token.ts"
import { WarpClient } from "../upstream/WarpClient.ts"

/** How a call of each kind can fail. */
export interface ScriptedFailures {
  readonly createAnonymousUser: CreateFailure
  readonly exchange: CreateFailure
  readonly refresh: RenewFailure
  readonly chat: CallFailure
  readonly quota: CallFailure
}
export type ScriptedCall = keyof ScriptedFailures

export interface ScriptedWarpOptions {
  /** Default true. */
  readonly minting?: boolean | undefined
  /**
   * Chats until `QuotaExhausted` (default 15), for all or by user. Created users are `user-1`, `user-2`, …; one who came
   * with a secret that was not made here is called by the first secret seen of them.
   */
  readonly quotaPerToken?: number | ((user: string) => number) | undefined
  /** How long an access secret is accepted (default 1 hour). */
  readonly accessLifetime?: Duration.Input | undefined
  /** Whether a renewal answers with a new refresh secret and ends the old one (default false). */
  readonly rotating?: boolean | undefined
  /** What a model answers; by default one word and a stop. */
  readonly answer?: ((request: ChatRequest) => ReadonlyArray<ChatEvent>) | undefined
}

/** The hands of the test: what was asked so far, and what happens next. */
export class ScriptedWarp extends Context.Service<
  ScriptedWarp,
  {
    /** Calls begun, by kind, failed ones included; a call that `minting: false` prevents is none. */
    readonly calls: Effect.Effect<Readonly<Record<ScriptedCall, number>>>
    /** Chats whose scope is not closed yet. */
    readonly openChats: Effect.Effect<number>
    /** The next `times` calls (default 1) of that kind fail so, after those told before; they spend no quota. */
    fail<K extends ScriptedCall>(call: K, failure: ScriptedFailures[K], times?: number): Effect.Effect<void>
    /** The next `times` calls (default 1) of that kind take so long before they answer or fail. */
    delay(call: ScriptedCall, duration: Duration.Input, times?: number): Effect.Effect<void>
    /** The next chat that is accepted answers with this stream. */
    answer(stream: Stream.Stream<ChatEvent, CallFailure>): Effect.Effect<void>
  }
>()("weirgate/testing/ScriptedWarp") {
  /** The client and the hands on it. */
  static readonly layer = (options: ScriptedWarpOptions = {}): Layer.Layer<ScriptedWarp | WarpClient> =>
    Layer.effectContext(Effect.sync(() => make(options)))
}

interface User {
  readonly name: string
  left: number
  readonly limit: number
  /** The refresh secret that is accepted. */
  refresh: string | undefined
}

type Pending = { [K in ScriptedCall]: Array<ScriptedFailures[K]> }

const provider = warpProvider

const make = (options: ScriptedWarpOptions) => {
  const minting = options.minting ?? true
  const lifetime = Duration.toMillis(options.accessLifetime ?? "1 hour")
  const quotaOf = (user: string) =>
    typeof options.quotaPerToken === "function" ? options.quotaPerToken(user) : (options.quotaPerToken ?? 15)
  const answerOf = options.answer ?? (() => [ChatEvent.Text({ text: "ok" }), stop])

  const calls: Record<ScriptedCall, number> = { createAnonymousUser: 0, exchange: 0, refresh: 0, chat: 0, quota: 0 }
  const failures: Pending = { createAnonymousUser: [], exchange: [], refresh: [], chat: [], quota: [] }
  const delays: Record<ScriptedCall, Array<Duration.Input>> = {
    createAnonymousUser: [],
    exchange: [],
    refresh: [],
    chat: [],
    quota: []
  }
  const answers: Array<Stream.Stream<ChatEvent, CallFailure>> = []
  let openChats = 0

  /** By secret: every one that was ever made or seen. */
  const users = new Map<string, User>()
  const expiries = new Map<string, number>()
  let created = 0
  let issued = 0

  const userOf = (secret: string) => {
    const known = users.get(secret)
    if (known !== undefined) return known
    return register({ name: secret, left: quotaOf(secret), limit: quotaOf(secret), refresh: secret }, secret)
  }
  const register = (user: User, secret: string) => {
    users.set(secret, user)
    return user
  }

  const begin = <K extends ScriptedCall>(call: K): Effect.Effect<void, ScriptedFailures[K]> =>
    Effect.suspend(() => {
      calls[call] += 1
      const failure = failures[call].shift()
      const delay = delays[call].shift()
      const outcome = failure === undefined ? Effect.void : Effect.fail(failure)
      return delay === undefined ? outcome : Effect.andThen(Effect.sleep(delay), outcome)
    })

  const issue = (user: User) =>
    Effect.map(Clock.currentTimeMillis, (now) => {
      issued += 1
      const access = `scripted-access-${issued}`
      register(user, access)
      expiries.set(access, now + lifetime)
      if (user.refresh === undefined || options.rotating === true) {
        user.refresh = `scripted-refresh-${issued}`
        register(user, user.refresh)
      }
      return { refresh: Redacted.make(user.refresh), access: Redacted.make(access), expiresAt: now + lifetime }
    })

  const authorised = Effect.fnUntraced(function* (access: Redacted.Redacted) {
    const secret = Redacted.value(access)
    const expiresAt = expiries.get(secret)
    if (expiresAt !== undefined && expiresAt <= (yield* Clock.currentTimeMillis)) {
      return yield* new AccessRejected({ provider })
    }
    return userOf(secret)
  })

  const spend = (user: User, token: TokenId) =>
    Effect.suspend(() => {
      if (user.left <= 0) return Effect.fail(new QuotaExhausted({ provider, token }))
      user.left -= 1
      return Effect.void
    })

  const client = WarpClient.of({
    minting,
    createAnonymousUser: Effect.gen(function* () {
      if (!minting) return yield* new MintingDisabled({ provider })
      yield* begin("createAnonymousUser")
      created += 1
      const name = `user-${created}`
      const secret = `scripted-custom-${created}`
      register({ name, left: quotaOf(name), limit: quotaOf(name), refresh: undefined }, secret)
      return Redacted.make(secret)
    }),
    exchange: Effect.fnUntraced(function* (customToken) {
      yield* begin("exchange")
      return yield* issue(userOf(Redacted.value(customToken)))
    }),
    refresh: Effect.fnUntraced(function* (refresh) {
      yield* begin("refresh")
      const user = userOf(Redacted.value(refresh))
      if (user.refresh !== Redacted.value(refresh)) {
        return yield* new RefreshRejected({ provider, code: "INVALID_REFRESH_TOKEN" })
      }
      return yield* issue(user)
    }),
    chat: Effect.fnUntraced(function* (request, token) {
      yield* Effect.acquireRelease(
        Effect.sync(() => {
          openChats += 1
        }),
        () =>
          Effect.sync(() => {
            openChats -= 1
          })
      )
      yield* begin("chat")
      yield* spend(yield* authorised(token.access), token.id)
      return answers.shift() ?? Stream.fromIterable(answerOf(request))
    }),
    quota: Effect.fnUntraced(function* (token) {
      // As it stood when asked: an answer that takes long is an old one.
      const answer = yield* authorised(token.access).pipe(
        Effect.map(({ left, limit }) => ({ unlimited: false, limit, used: limit - left })),
        Effect.exit
      )
      yield* begin("quota")
      return yield* answer
    })
  })

  const hands = ScriptedWarp.of({
    calls: Effect.sync(() => ({ ...calls })),
    openChats: Effect.sync(() => openChats),
    fail: (call, failure, times = 1) =>
      Effect.sync(() => {
        for (let i = 0; i < times; i++) failures[call].push(failure)
      }),
    delay: (call, duration, times = 1) =>
      Effect.sync(() => {
        for (let i = 0; i < times; i++) delays[call].push(duration)
      }),
    answer: (stream) =>
      Effect.sync(() => {
        answers.push(stream)
      })
  })

  return Context.make(WarpClient, client).pipe(Context.add(ScriptedWarp, hands))
}

const stop = ChatEvent.Finished({ reason: "stop", usage: undefined })
