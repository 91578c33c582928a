/** The console's one account: its password, its sessions, and how often a wrong password may be tried. */
import { Clock, Context, Duration, Effect, Layer, Metric, Redacted, Schema, Semaphore } from "effect"
import { fromZero } from "../domain/zero.ts"
import { SecureRandom } from "effect/crypto"
import { type Collection, Store, type StoreUnavailable } from "../store/Store.ts"
import * as Throttle from "./loginThrottle.ts"
import * as Password from "./password.ts"
import { legible, randomText } from "./randomText.ts"
import * as Sessions from "./sessions.ts"

/** The password is wrong. */
export class LoginRefused extends Schema.TaggedError<LoginRefused>()("LoginRefused", {}) {
  override get message() {
    return "the password is wrong"
  }
}

/** Too many wrong passwords from this address, or in all. Nothing was compared. */
export class LoginThrottled extends Schema.TaggedError<LoginThrottled>()("LoginThrottled", {
  retryAfter: Schema.DurationFromMillis
}) {
  override get message() {
    return "too many wrong passwords; wait before the next"
  }
}

export class PasswordRefused extends Schema.TaggedError<PasswordRefused>()("PasswordRefused", {
  reason: Schema.String
}) {
  override get message() {
    return `password: ${this.reason}`
  }
}

export interface Session {
  /** What the cookie holds. */
  readonly secret: Redacted.Redacted
  /** What a change has to show in `x-csrf-token`. */
  readonly csrf: Redacted.Redacted
  /** Epoch milliseconds: when it ends if it stays idle, to within a minute, and when in any case. */
  readonly idleUntil: number
  readonly until: number
}

export class ConsoleAccount extends Context.Service<
  ConsoleAccount,
  {
    /**
     * Waits for a slow hash; of those at most two are at work at once, and 20 wait: beyond, it is refused as throttled. An
     * attempt that is interrupted counts as a failed one. How often each address has tried is this process's own knowledge, and
     * a restart forgets it; which addresses have logged in is stored, and known to others from their next start.
     */
    login(
      password: Redacted.Redacted,
      address: string
    ): Effect.Effect<Session, LoginRefused | LoginThrottled | StoreUnavailable>
    /**
     * The session of a cookie, if it is one; prolongs it. `rotated` is there when its secret is to be replaced in the cookie:
     * the old one is good for 30 seconds more, for requests that are on their way; shown after that, it ends the session. Asks
     * the store each time, and so holds what any process has ended. Stores at most once a minute.
     */
    session(
      secret: Redacted.Redacted
    ): Effect.Effect<{ readonly session: Session; readonly rotated: boolean } | undefined, StoreUnavailable>
    /**
     * Whether the session that this cookie was once of still goes on, whatever its secret is by now. Prolongs nothing, and lets
     * nobody in: for what was let in by `session` and lasts.
     */
    goesOn(secret: Redacted.Redacted): Effect.Effect<boolean, StoreUnavailable>
    logout(secret: Redacted.Redacted): Effect.Effect<void, StoreUnavailable>
    /** Ends all sessions, in every process at once, also those whose login is under way. */
    setPassword(password: Redacted.Redacted): Effect.Effect<void, PasswordRefused | StoreUnavailable>
    /** Makes a password if there is none yet, and tells it then, and only then: of several processes, to one. */
    readonly ensure: Effect.Effect<Redacted.Redacted | undefined, StoreUnavailable>
    /** Whether the password is still the one that `ensure` has made. */
    readonly isMade: Effect.Effect<boolean, StoreUnavailable>
    readonly idleFor: Duration.Duration
  }
>()("weirgate/access/ConsoleAccount") {
  static readonly layerWith = (
    options: ConsoleAccountOptions = {}
  ): Layer.Layer<ConsoleAccount, StoreUnavailable, Store> =>
    Layer.effect(ConsoleAccount, make(options)).pipe(Layer.provide(SecureRandom.layerWebCrypto))

  static readonly layer = Layer.suspend(() => ConsoleAccount.layerWith())
}

export interface ConsoleAccountOptions {
  /** What a guess is to cost. A password that was stored at less is stored anew when it is next used. */
  readonly cost?: Password.Cost
}

const Account = Schema.Struct({
  password: Password.PasswordHash,
  /** One more with each new password; 0 of the one that was made. */
  generation: Schema.Int
})
const accounts: Collection<typeof Account.Type> = { name: "console-account", schema: Account }
const LoggedIn = Schema.Struct({ at: Schema.Finite })
/** Those of the last 30 days. */
const addresses: Collection<typeof LoggedIn.Type> = { name: "console-addresses", schema: LoggedIn }

const logins = Metric.counter("weirgate_console_logins_total", {
  description: "Attempts to log in to the console, by result",
  incremental: true
})
const counted = {
  succeeded: Metric.withAttributes(logins, { result: "succeeded" }),
  refused: Metric.withAttributes(logins, { result: "refused" }),
  throttled: Metric.withAttributes(logins, { result: "throttled" })
}

const hashesAtWork = 2
const maxWaiting = 20
const madeLength = 24

const make = Effect.fnUntraced(
  function* ({ cost = Password.defaultCost }: ConsoleAccountOptions) {
    const clock = yield* Clock.Clock
    const store = yield* Store
    yield* fromZero(Object.values(counted))
    const random = yield* SecureRandom.SecureRandom
    const now = () => clock.currentTimeMillisUnsafe()
    const account = store.get(accounts, "console")
    const sessions = Sessions.make(store, random, now)
    const hashing = yield* Semaphore.make(hashesAtWork)
    let underWay = 0
    const known = yield* store.all(addresses)
    let throttle = Throttle.initial(
      [...known].map(([address, { at }]) => [address, at] as const),
      now()
    )
    const decide = (input: Throttle.Input) => {
      const [decision, next] = Throttle.decide(throttle, now(), input)
      throttle = next
      return decision
    }

    const hashed = Effect.fnUntraced(function* (password: Redacted.Redacted) {
      const salt = yield* random.randomBytes(Password.saltLength)
      return yield* hashing.withPermit(Password.hashed(password, salt, cost))
    })

    const compared = (password: Redacted.Redacted, current: typeof Account.Type | undefined) =>
      hashing.withPermit(
        current === undefined ? Password.matchesNone(password, cost) : Password.matches(password, current.password)
      )

    const throttled = (retryAfter: number) =>
      Effect.andThen(
        Metric.update(counted.throttled, 1),
        Effect.fail(new LoginThrottled({ retryAfter: Duration.millis(retryAfter) }))
      )

    /** The right password has come from there. What fails of this must not keep its owner out. */
    const welcome = Effect.fnUntraced(
      function* (address: string, password: Redacted.Redacted, current: typeof Account.Type) {
        const at = now()
        yield* store.modify(addresses, address, () => [undefined, { at }])
        for (const [old, stored] of yield* store.all(addresses)) {
          if (stored.at + Throttle.knownFor <= at) yield* store.modify(addresses, old, () => [undefined, undefined])
        }
        if (!Password.isWeaker(current.password, cost)) return
        const stronger = yield* hashed(password)
        yield* store.modify(accounts, "console", (stored) => [
          undefined,
          stored?.password.digest === current.password.digest ? { ...stored, password: stronger } : stored
        ])
      },
      Effect.catch((error) => Effect.logWarning(error.message))
    )

    const login = Effect.fnUntraced(function* (password: Redacted.Redacted, address: string) {
      const decision = decide({ _tag: "Begin", address })
      if (decision._tag === "Throttled") return yield* throttled(decision.retryAfter)
      if (decision._tag !== "Allowed") return yield* Effect.die(decision)
      const { attempt } = decision
      const withdraw = Effect.sync(() => decide({ _tag: "Withdrawn", attempt }))
      if (underWay >= hashesAtWork + maxWaiting) return yield* Effect.andThen(withdraw, throttled(1_000))
      underWay += 1
      const { current, isRight } = yield* Effect.gen(function* () {
        const current = yield* Effect.tapError(account, () => withdraw)
        return { current, isRight: yield* compared(password, current) }
      }).pipe(Effect.ensuring(Effect.sync(() => void (underWay -= 1))))
      if (current === undefined || !isRight) {
        yield* Metric.update(counted.refused, 1)
        return yield* new LoginRefused()
      }
      decide({ _tag: "Succeeded", attempt })
      yield* Metric.update(counted.succeeded, 1)
      yield* welcome(attempt.address, password, current)
      // Of the password that was compared: if another has come since, this session is none.
      return yield* sessions.begin(current.generation)
    })

    const generation = Effect.map(account, (current) => current?.generation)

    const setPassword = Effect.fnUntraced(function* (password: Redacted.Redacted) {
      const reason = Password.flawOf(password)
      if (reason !== undefined) return yield* new PasswordRefused({ reason })
      const hash = yield* hashed(password)
      const generation = yield* store.modify(accounts, "console", (current) => {
        const next = (current?.generation ?? 0) + 1
        return [next, { password: hash, generation: next }]
      })
      // They have ended already; this only clears them away.
      yield* Effect.ignore(sessions.sweep(generation))
    })

    const ensure = Effect.gen(function* () {
      if ((yield* account) !== undefined) return undefined
      const password = Redacted.make(yield* randomText(random, legible, madeLength))
      const hash = yield* hashed(password)
      const isMade = yield* store.modify(accounts, "console", (current) =>
        current === undefined ? [true, { password: hash, generation: 0 }] : [false, current]
      )
      return isMade ? password : undefined
    })

    return ConsoleAccount.of({
      login,
      session: (secret) => Effect.flatMap(generation, (current) => sessions.show(secret, current)),
      goesOn: (secret) => Effect.flatMap(generation, (current) => sessions.goesOn(secret, current)),
      logout: sessions.end,
      setPassword,
      ensure,
      isMade: Effect.map(generation, (current) => current === 0),
      idleFor: Duration.millis(Sessions.idleFor)
    })
  },
  Effect.annotateLogs({ service: "ConsoleAccount" })
)
