/** Reads the credential that a renewal answers with (protocols 5.3). Pure. */
import { Option, Redacted, Schema } from "effect"
import type { Credential } from "../../domain/Token.ts"

const decode = Schema.decodeUnknownOption(
  Schema.Struct({
    access_token: Schema.NonEmptyString,
    refresh_token: Schema.optionalKey(Schema.NullOr(Schema.String)),
    expires_in: Schema.optionalKey(Schema.Unknown)
  })
)
const decodeSeconds = Schema.decodeUnknownOption(
  Schema.Union([Schema.Finite, Schema.FiniteFromString]).check(Schema.isGreaterThan(0))
)

/**
 * `askedAt` and not the time of the answer: a credential must not be believed to last longer than it does. The old secret is
 * void by now, so an answer that lacks the rest is still taken for its access secret: without an end, which a call will
 * tell, and with the old refresh secret, should it have been left as it was.
 */
export const renewedCredential = (
  data: unknown,
  refresh: Redacted.Redacted,
  askedAt: number
): Credential | undefined => {
  const renewed = Option.getOrUndefined(decode(data))
  if (renewed === undefined) return undefined
  const { access_token, expires_in, refresh_token } = renewed
  const seconds = Option.getOrUndefined(decodeSeconds(expires_in))
  return {
    refresh: refresh_token ? Redacted.make(refresh_token) : refresh,
    access: Redacted.make(access_token),
    ...(seconds === undefined ? {} : { expiresAt: askedAt + seconds * 1_000 })
  }
}
