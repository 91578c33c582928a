/** Opens sealed secrets once and keeps them redacted in memory, so that lending needs no cipher. */
import { Effect } from "effect"
import type { Redacted } from "effect"
import type { Credential, TokenId } from "../domain/Token.ts"
import type { Sealed, Vault } from "../store/Vault.ts"
import * as telling from "./telling.ts"
import type { Secrets as SealedSecrets, TokenRecord } from "./tokenState.ts"

type Part = "access" | "refresh" | "origin"

export interface Secrets {
  /** The access secret, if it has been opened. */
  opened(record: TokenRecord): Redacted.Redacted | undefined
  /** Opens the access secret; `undefined` when there is none or it cannot be opened with our key. */
  openAccess(record: TokenRecord): Effect.Effect<Redacted.Redacted | undefined>
  open(id: TokenId, part: Part, sealed: Sealed | undefined): Effect.Effect<Redacted.Redacted | undefined>
  seal(id: TokenId, part: Part, secret: Redacted.Redacted): Effect.Effect<Sealed>
  /** A secret of the token could not be opened: another process with the right key may still lend it. */
  isLocked(record: TokenRecord): boolean
  forget(id: TokenId): void
}

interface Known {
  access?: { readonly sealed: Sealed; readonly secret: Redacted.Redacted }
  locked?: Sealed
}

export const make = (vault: Vault["Service"]): Secrets => {
  /** One for each token held; forgotten with the token. */
  const known = new Map<TokenId, Known>()
  const of = (id: TokenId) => {
    let found = known.get(id)
    if (found === undefined) known.set(id, (found = {}))
    return found
  }
  const purpose = (id: TokenId, part: Part) => `token/${id}/${part}`

  const open: Secrets["open"] = (id, part, sealed) =>
    sealed === undefined
      ? Effect.undefined
      : vault.open(sealed, purpose(id, part)).pipe(
          Effect.catch((locked) =>
            Effect.suspend(() => {
              of(id).locked = sealed
              return Effect.logError(locked.message).pipe(
                telling.annotated,
                Effect.annotateLogs({ token: id }),
                Effect.as(undefined)
              )
            })
          )
        )

  const opened: Secrets["opened"] = (record) => {
    const access = known.get(record.id)?.access
    return access !== undefined && access.sealed === record.access?.sealed ? access.secret : undefined
  }

  return {
    opened,
    openAccess: (record) =>
      Effect.suspend(() => {
        const secret = opened(record)
        const sealed = record.access?.sealed
        if (secret !== undefined || sealed === undefined) return Effect.succeed(secret)
        return Effect.tap(open(record.id, "access", sealed), (secret) =>
          Effect.sync(() => {
            if (secret !== undefined) of(record.id).access = { sealed, secret }
          })
        )
      }),
    open,
    seal: (id, part, secret) => vault.seal(secret, purpose(id, part)),
    isLocked: (record) => {
      const locked = known.get(record.id)?.locked
      return locked !== undefined && (locked === record.access?.sealed || locked === record.refresh)
    },
    forget: (id) => known.delete(id)
  }
}

/** What a token is added with, as it is stored; undefined when there is no secret. */
export const sealedOf = Effect.fnUntraced(function* (
  { seal }: Pick<Secrets, "seal">,
  id: TokenId,
  { access, expiresAt, refresh }: Partial<Credential>
) {
  const secret = refresh ?? access
  if (secret === undefined) return undefined
  const sealed: SealedSecrets & { readonly origin: Sealed } = {
    origin: yield* seal(id, "origin", secret),
    ...(refresh && { refresh: yield* seal(id, "refresh", refresh) }),
    ...(access && {
      access: { sealed: yield* seal(id, "access", access), ...(expiresAt !== undefined && { expiresAt }) }
    })
  }
  return sealed
})
