/** Reads the credentials that the identity and token services issue. */
import { Option, Redacted, Schema } from "effect"
import type { Credential } from "../../domain/Token.ts"

/** Said as a string, but taken as a number as well. */
const Seconds = Schema.Union([Schema.Finite, Schema.FiniteFromString]).check(Schema.isGreaterThan(0))
const Secret = Schema.NonEmptyString

const decodeExchanged = Schema.decodeUnknownOption(
  Schema.fromJsonString(Schema.Struct({ idToken: Secret, refreshToken: Secret, expiresIn: Seconds }))
)

const decodeRenewed = Schema.decodeUnknownOption(
  Schema.fromJsonString(
    Schema.Struct({
      id_token: Schema.optionalKey(Secret),
      access_token: Schema.optionalKey(Secret),
      refresh_token: Schema.optionalKey(Secret),
      expires_in: Seconds
    })
  )
)

/** `askedAt` and not the time of the answer: a credential must not be believed to last longer than it does. */
export const exchangedCredential = (body: string, askedAt: number): Option.Option<Credential> =>
  Option.map(decodeExchanged(body), ({ expiresIn, idToken, refreshToken }) => ({
    refresh: Redacted.make(refreshToken),
    access: Redacted.make(idToken),
    expiresAt: askedAt + expiresIn * 1_000
  }))

/** The service returns the same token under two names, and not always a new refresh token. */
export const renewedCredential = (
  body: string,
  refresh: Redacted.Redacted,
  askedAt: number
): Option.Option<Credential> =>
  Option.flatMap(decodeRenewed(body), (renewed) =>
    Option.map(Option.fromUndefinedOr(renewed.id_token ?? renewed.access_token), (access) => ({
      refresh: renewed.refresh_token === undefined ? refresh : Redacted.make(renewed.refresh_token),
      access: Redacted.make(access),
      expiresAt: askedAt + renewed.expires_in * 1_000
    }))
  )
