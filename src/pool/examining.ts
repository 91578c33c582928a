/** Hands out tokens to be checked, in or out of use: one check of a token at a time, among all processes. */
import { Clock, Duration, Effect, Scope } from "effect"
import type { Redacted } from "effect"
import type { TokenId } from "../domain/Token.ts"
import type { Desk } from "./desk.ts"
import type { Holdings } from "./holdings.ts"
import type { Renewals } from "./renewals.ts"
import type { Secrets } from "./secrets.ts"
import type { Settlement } from "./settlement.ts"
import * as telling from "./telling.ts"
import { accessIsValid, isBarred, type Outcome, type TokenRecord } from "./tokenState.ts"

/** A token that is being checked. It is not lent: others use it meanwhile, unless the check is its probe. */
export interface Examination {
  readonly id: TokenId
  readonly name: string
  readonly provider: string
  /** Undefined when it has ended and could not be renewed. */
  readonly access: Redacted.Redacted | undefined
  /** Renews the secret once after a 401, single flight; undefined when there is no new one. Waits for the upstream. */
  readonly renew: Effect.Effect<Redacted.Redacted | undefined>
  /** Says how it ended. `detail` is for a person and holds no secret. Once; without it nothing has come of the check. Never waits. */
  conclude(outcome: Outcome, detail?: string): Effect.Effect<void>
}

/** A check of the schedule, by one who knows the token to have been checked last then; else it is at a person's wish. */
export type Seen = { readonly at: number | undefined }

export interface Options {
  readonly holdings: Holdings
  readonly desk: Desk
  readonly secrets: Secrets
  readonly renewals: Renewals
  readonly settlement: Settlement
  /** Names this process among those that share the store. */
  readonly process: string
}

/** A process that died holds up a check no longer than this: two renewals and two answers take less. */
const checkFor = Duration.toMillis("3 minutes")

export const make = ({ desk, holdings, process, renewals, secrets, settlement }: Options) => {
  // Not the name of the process alone, so that its own calls leave the probe to the check, too.
  const by = `${process}/check`

  const claim = Effect.fnUntraced(function* (id: TokenId, now: number, seen: Seen | undefined) {
    const event = { _tag: "CheckClaimed", claim: { by, until: now + checkFor }, ...(seen && { seen }) } as const
    const claimed = yield* holdings
      .commit(id, event)
      .pipe(Effect.catch((error) => Effect.map(telling.storeFailed(error), () => holdings.get(id))))
    return claimed?.check?.by === by ? claimed : undefined
  })

  /** Whether there is a secret to ask with, or may be. */
  const isAskable = (record: TokenRecord, now: number) =>
    !secrets.isLocked(record) &&
    (accessIsValid(record, now) || (record.refresh !== undefined && !isBarred(record, now)))

  const newest = Effect.fnUntraced(function* (id: TokenId) {
    const record = holdings.get(id)
    if (record === undefined || !accessIsValid(record, yield* Clock.currentTimeMillis)) return undefined
    const access = yield* secrets.openAccess(record)
    return access && { access, generation: record.generation }
  })

  const prepared = Effect.fnUntraced(function* (record: TokenRecord) {
    const { generation, id } = record
    const isValid = accessIsValid(record, yield* Clock.currentTimeMillis) && !renewals.isStoring(id)
    if (!isValid) yield* renewals.renew(id, generation)
    return yield* newest(id)
  })

  const examine = (id: TokenId, seen?: Seen | undefined): Effect.Effect<Examination | undefined, never, Scope.Scope> =>
    Effect.uninterruptibleMask((restore) =>
      Effect.gen(function* () {
        const now = yield* Clock.currentTimeMillis
        const known = holdings.get(id)
        if (known === undefined || !isAskable(known, now) || desk.isLimited(known.provider, now)) return undefined
        const scope = yield* Effect.scope
        let isOver = false
        yield* Scope.addFinalizer(
          scope,
          Effect.suspend(() => (isOver ? Effect.void : holdings.settle(id, { _tag: "CheckReleased", by })))
        )
        const record = yield* claim(id, now, seen)
        if (record === undefined) {
          isOver = true
          return undefined
        }
        const { name, provider } = record
        let { generation } = record
        const secret = yield* restore(prepared(record))
        generation = secret?.generation ?? generation
        return {
          id,
          name,
          provider,
          access: secret?.access,
          renew: Effect.gen(function* () {
            const used = generation
            if (holdings.get(id)?.generation === used) yield* renewals.renew(id, used)
            const next = yield* newest(id)
            if (next === undefined || next.generation <= used) return undefined
            generation = next.generation
            return next.access
          }),
          conclude: (outcome, detail) =>
            Effect.suspend(() => {
              if (isOver) return Effect.void
              isOver = true
              const event = {
                _tag: "Checked",
                by,
                outcome,
                generation,
                ...(detail === undefined ? {} : { detail })
              } as const
              return settlement.settleCheck(id, provider, event)
            })
        }
      })
    )

  return examine
}
