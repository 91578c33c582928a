/**
 * Tokens that carry what they say and prove it by a signature, shaped like JSON Web Tokens. Nothing about them is
 * stored, so a restarted sandbox still honours them. A token signed for one purpose is worthless for any other.
 */
import { Option, Result, Schema } from "effect"
import { Base64Url } from "effect/encoding"
import { createHmac, timingSafeEqual } from "node:crypto"
import { digest } from "../seed.ts"

export type Purpose = "custom" | "refresh" | "access"

export const sign = (seed: string, purpose: Purpose, claims: object): string => {
  const body = `${Base64Url.encode(header)}.${Base64Url.encode(JSON.stringify(claims))}`
  return `${body}.${Base64Url.encode(signature(seed, purpose, body))}`
}

/** The claims, if they were signed with this seed for this purpose and have this shape. */
export const verify = <A>(
  seed: string,
  purpose: Purpose,
  token: string,
  shape: Schema.Codec<A, Schema.Json>
): Option.Option<A> => {
  const end = token.lastIndexOf(".")
  const body = token.slice(0, Math.max(end, 0))
  const given = Result.getOrUndefined(Base64Url.decode(token.slice(end + 1)))
  const expected = signature(seed, purpose, body)
  if (given === undefined || given.length !== expected.length || !timingSafeEqual(given, expected)) return Option.none()
  const claims = Result.getOrUndefined(Base64Url.decodeString(body.slice(body.indexOf(".") + 1)))
  return Schema.decodeUnknownOption(Schema.fromJsonString(shape))(claims)
}

const header = JSON.stringify({ alg: "HS256", typ: "JWT" })

const signature = (seed: string, purpose: Purpose, body: string): Uint8Array =>
  createHmac("sha256", digest(seed, "key", purpose))
    .update(body)
    .digest()
