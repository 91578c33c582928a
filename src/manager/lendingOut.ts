/** Lends tokens to programs outside, and takes their word for how the calls ended. */
import { Clock, Effect, Random, Redacted } from "effect"
import type { Scope } from "effect"
import type { Credential, TokenId } from "../domain/Token.ts"
import type { HeldLease, TokenPool } from "../pool/TokenPool.ts"
import { digestOf } from "../pool/possession.ts"
import type { Store } from "../store/Store.ts"
import type { Vault } from "../store/Vault.ts"
import { shownError } from "./errorText.ts"
import { LeaseUnknown, ProviderUnknown, TokenNotHeld } from "./failures.ts"
import { managedToken } from "./managedToken.ts"
import * as OpenLeases from "./openLeases.ts"
import { outcomeOf } from "./outcomes.ts"
import * as ReportedLeases from "./reportedLeases.ts"
import * as Telling from "./telling.ts"
import * as Slips from "./slip.ts"
import type { Slip } from "./slip.ts"
import type { RemoteLease, Report, TokenManager } from "./TokenManager.ts"

export interface Options {
  readonly pool: TokenPool["Service"]
  readonly vault: Vault["Service"]
  readonly store: Store["Service"]
  readonly providers: () => ReadonlyArray<string>
  /** In milliseconds. */
  readonly leaseFor: number
  /** The most leases that are held open. */
  readonly capacity: number
}

interface Open extends OpenLeases.Entry {
  readonly slip: Slip
  readonly held: HeldLease
}

export const make = Effect.fnUntraced(function* ({
  capacity,
  leaseFor,
  pool,
  providers,
  store,
  vault
}: Options): Effect.fn.Return<Pick<TokenManager["Service"], "get" | "report">, never, Scope.Scope> {
  const scope = yield* Effect.scope
  // Unique among the processes that share the store, restarts included.
  const process = `${(yield* Random.nextInt).toString(36)}.${(yield* Clock.currentTimeMillis).toString(36)}`
  const reported = yield* ReportedLeases.make(store)
  const open = OpenLeases.make<Open>(capacity)
  const telling = Telling.make()
  yield* Telling.begun
  let given = 0

  const giveBack = (lease: Open | undefined) => lease?.held.giveBack ?? Effect.void
  const endUnreported = (lease: Open | undefined, end: "run_out" | "crowded_out") =>
    lease === undefined ? Effect.void : Effect.andThen(telling.ended(lease.slip.provider, end), giveBack(lease))
  const giveBackAll = Effect.whileLoop({
    while: () => open.size() > 0,
    body: () => giveBack(open.close(open.oldest()?.id ?? "")),
    step: () => undefined
  })
  yield* Effect.addFinalizer(() => giveBackAll)

  /** Runs while there is one to wait for: all last equally long, so the oldest ends first. */
  let isWaiting = false
  const runOut = Effect.gen(function* () {
    for (let oldest = open.oldest(); oldest !== undefined; oldest = open.oldest()) {
      const left = oldest.slip.endsAt - (yield* Clock.currentTimeMillis)
      if (left > 0) yield* Effect.sleep(left)
      else yield* Effect.uninterruptible(endUnreported(open.close(oldest.id), "run_out"))
    }
    isWaiting = false
  })
  const waitForTheEnd = Effect.suspend(() => {
    if (isWaiting) return Effect.void
    isWaiting = true
    return Effect.forkIn(runOut, scope)
  })

  const lend = Effect.fnUntraced(function* (held: HeldLease, caller: string) {
    const issuedAt = yield* Clock.currentTimeMillis
    const { access, generation, id: token, name, probedBy, provider } = held
    const slip: Slip = {
      id: `${process}.${++given}`,
      token,
      provider,
      generation,
      caller,
      issuedAt,
      endsAt: issuedAt + leaseFor,
      ...(probedBy === undefined ? {} : { probedBy })
    }
    const lease = yield* Slips.sealed(vault, slip)
    const { accessExpiresAt } = yield* pool
      .view(token)
      .pipe(Effect.orElseSucceed(() => ({ accessExpiresAt: undefined })))
    const crowdedOut = open.open({ id: slip.id, caller, token, digest: digestOf(access), slip, held })
    yield* endUnreported(crowdedOut, "crowded_out")
    yield* waitForTheEnd
    return {
      lease,
      id: token,
      name,
      provider,
      access,
      accessExpiresAt,
      leaseExpiresAt: slip.endsAt
    } satisfies RemoteLease
  })

  const get: TokenManager["Service"]["get"] = ({ caller, provider, strategy }) =>
    Effect.uninterruptibleMask((restore) =>
      Effect.gen(function* () {
        const known = providers()
        if (!known.includes(provider)) return yield* new ProviderUnknown({ provider, known })
        const held = yield* pool.borrow({ provider, strategy }, restore)
        return yield* Effect.onError(lend(held, caller), () => held.giveBack)
      })
    )

  /** Kept with the token, for a person. */
  const detailOf = Effect.fnUntraced(function* (id: TokenId, error: string | undefined, lent: Open | undefined) {
    if (error === undefined) return undefined
    const { access, refresh } = yield* pool.credentialOf(id).pipe(Effect.orElseSucceed((): Partial<Credential> => ({})))
    const secrets = [lent?.held.access, access, refresh].filter((secret) => secret !== undefined)
    return shownError(error, secrets)
  })

  const settle = Effect.fnUntraced(function* (slip: Slip, { error, outcome, retryAfterMs }: Report) {
    const { generation, probedBy, token } = slip
    // Ours, if it is still open; if another's, or of before a restart, the slip says all that is needed.
    const lent = open.close(slip.id)
    const now = yield* Clock.currentTimeMillis
    const detail = yield* detailOf(token, error, lent)
    yield* telling.ended(slip.provider, outcome)
    const told = outcomeOf(outcome, now - slip.issuedAt, retryAfterMs)
    if (lent === undefined) return yield* pool.settle(token, { outcome: told, generation, probe: probedBy, detail })
    yield* Effect.ensuring(lent.held.report(told, detail), lent.held.giveBack)
  })

  /** False when it has been reported before, here or elsewhere. */
  const settledOnce = Effect.fnUntraced(function* (slip: Slip, report: Report) {
    if (yield* reported.claim(slip.id, slip.endsAt)) {
      yield* settle(slip, report)
      return true
    }
    yield* giveBack(open.close(slip.id))
    return false
  })

  const viewOf = (id: TokenId) =>
    pool.view(id).pipe(
      Effect.map(managedToken),
      Effect.mapError(() => new TokenNotHeld())
    )

  const reportLease = Effect.fnUntraced(function* (lease: string, report: Report) {
    const slip = yield* Slips.opened(vault, lease)
    if (slip.caller !== report.caller) return yield* new LeaseUnknown({ reason: "unknown" })
    if (slip.endsAt <= (yield* Clock.currentTimeMillis)) return yield* new LeaseUnknown({ reason: "expired" })
    yield* viewOf(slip.token)
    if (!(yield* settledOnce(slip, report))) return yield* new LeaseUnknown({ reason: "reported" })
    return yield* viewOf(slip.token)
  })

  const reportToken = Effect.fnUntraced(function* (token: Redacted.Redacted, report: Report) {
    const { caller, provider } = report
    const digest = digestOf(token)
    while (true) {
      // Most report with what they were lent.
      let lease = open.oldestOf(caller, digest, undefined)
      if (lease === undefined) {
        const held = yield* heldAs(token, provider)
        lease = open.oldestOf(caller, digest, held)
        if (lease === undefined && held === undefined) return yield* new TokenNotHeld()
      }
      if (lease === undefined) return yield* new LeaseUnknown({ reason: "none" })
      if (lease.slip.endsAt <= (yield* Clock.currentTimeMillis)) yield* endUnreported(open.close(lease.id), "run_out")
      else if (yield* settledOnce(lease.slip, report)) return yield* viewOf(lease.slip.token)
    }
  })

  const heldAs = Effect.fnUntraced(function* (token: Redacted.Redacted, provider: string | undefined) {
    for (const name of provider === undefined ? providers() : [provider]) {
      const id = yield* pool.find(name, token)
      if (id !== undefined) return id
    }
    return undefined
  })

  return {
    get,
    report: (report) =>
      Effect.suspend((): ReturnType<TokenManager["Service"]["report"]> => {
        const { lease, token } = report
        if (lease !== undefined) return reportLease(lease, report)
        return token === undefined ? Effect.fail(new LeaseUnknown({ reason: "none" })) : reportToken(token, report)
      }).pipe(
        Effect.tapError((error) => telling.refused(error._tag === "LeaseUnknown" ? error.reason : "gone")),
        Effect.uninterruptible
      )
  }
})
