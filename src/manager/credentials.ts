/** Which of a token's secrets is "the token" for the people who hand it in and take it out: a pure rule. */
import type { Redacted } from "effect"
import { warpProvider } from "../domain/Provider.ts"
import type { Credential } from "../domain/Token.ts"

export interface Handed {
  readonly token?: Redacted.Redacted | undefined
  readonly refresh?: Redacted.Redacted | undefined
  readonly accessExpiresAt?: number | undefined
}

/** Warp's is renewed with, and what it is called with follows from it. */
const isToRenewWith = (provider: string) => provider === warpProvider

export const credentialOf = (provider: string, { accessExpiresAt, refresh, token }: Handed): Partial<Credential> => {
  if (isToRenewWith(provider)) return { refresh: token ?? refresh }
  return {
    ...(refresh && { refresh }),
    ...(token && { access: token, ...(accessExpiresAt !== undefined && { expiresAt: accessExpiresAt }) })
  }
}

/** Undefined when it has nothing that can be handed out and in again. */
export const handedOf = (provider: string, { access, expiresAt, refresh }: Partial<Credential>): Handed | undefined => {
  if (isToRenewWith(provider)) return refresh && { token: refresh }
  if (access === undefined) return refresh && { refresh }
  return { token: access, ...(refresh && { refresh }), ...(expiresAt !== undefined && { accessExpiresAt: expiresAt }) }
}
