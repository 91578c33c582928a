/** What a lease says on its face: all that is needed to honour its report in another process, or after a restart. */
import { Effect, Redacted, Schema } from "effect"
import { TokenId } from "../domain/Token.ts"
import { Sealed, type Vault } from "../store/Vault.ts"
import { LeaseUnknown } from "./failures.ts"

const Slip = Schema.Struct({
  /** One lease's, whichever process gave it. */
  id: Schema.NonEmptyString,
  token: TokenId,
  provider: Schema.String,
  /** Of the access secret that was lent. */
  generation: Schema.Int,
  /** Only who borrowed it reports it. */
  caller: Schema.String,
  /** Epoch milliseconds; from `endsAt` on a report does not count. */
  issuedAt: Schema.Finite,
  endsAt: Schema.Finite,
  /** Who lent it, if the call is the token's probe. */
  probedBy: Schema.optionalKey(Schema.String)
})
export type Slip = typeof Slip.Type

const text = Schema.fromJsonString(Slip)
const encode = Schema.encodeSync(text)
const decode = Schema.decodeUnknownEffect(text)

const purpose = "token lease"

/** Sealed, so that nobody makes one up or reads what is in it. */
export const sealed = (vault: Vault["Service"], slip: Slip): Effect.Effect<string> =>
  vault.seal(Redacted.make(encode(slip)), purpose)

export const opened = (vault: Vault["Service"], lease: string): Effect.Effect<Slip, LeaseUnknown> =>
  Effect.suspend(() => vault.open(Sealed.make(lease === "" ? "none" : lease), purpose)).pipe(
    Effect.flatMap((slip) => decode(Redacted.value(slip))),
    Effect.mapError(() => new LeaseUnknown({ reason: "unknown" }))
  )
