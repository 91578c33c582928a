/**
 * Tokens of the emulated drive: shaped like UUIDs, as the real ones are, and holding what they say, so that a restarted sandbox
 * still honours them. Pure.
 */
import { timingSafeEqual } from "node:crypto"
import { digest } from "../seed.ts"

export interface Claims {
  /** The account's number, from 0 on. */
  readonly account: number
  /** Grows with each renewal: what is older than the newest that was seen is void. */
  readonly generation: number
  /** In seconds since the epoch; 0 of the first generation, which is the same at each start. */
  readonly issuedAt: number
}

export type Purpose = "access" | "refresh"

/** 36 characters. Of two tokens the first half has nothing in common: the first 16 characters are a key of the cipher. */
export const tokenOf = (seed: string, purpose: Purpose, { account, generation, issuedAt }: Claims): string => {
  const claims = Buffer.alloc(8)
  claims.writeUInt8(account, 0)
  claims.writeUIntBE(generation, 1, 3)
  claims.writeUInt32BE(issuedAt, 4)
  const proof = proofOf(seed, purpose, claims)
  const text = Buffer.concat([proof, masked(seed, purpose, proof, claims)]).toString("hex")
  return [text.slice(0, 8), text.slice(8, 12), text.slice(12, 16), text.slice(16, 20), text.slice(20)].join("-")
}

/** Undefined of what was not issued with this seed for this purpose. */
export const claimsOf = (seed: string, purpose: Purpose, token: string): Claims | undefined => {
  if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(token)) return undefined
  const bytes = Buffer.from(token.replaceAll("-", ""), "hex")
  const proof = bytes.subarray(0, 8)
  const claims = masked(seed, purpose, proof, bytes.subarray(8))
  if (!timingSafeEqual(proof, proofOf(seed, purpose, claims))) return undefined
  return {
    account: claims.readUInt8(0),
    generation: claims.readUIntBE(1, 3),
    issuedAt: claims.readUInt32BE(4)
  }
}

const proofOf = (seed: string, purpose: Purpose, claims: Buffer) =>
  digest(seed, "wopan", purpose, claims.toString("hex")).subarray(0, 8)

const masked = (seed: string, purpose: Purpose, proof: Buffer, claims: Buffer) => {
  const mask = digest(seed, "wopan mask", purpose, proof.toString("hex"))
  return Buffer.from(claims.map((byte, i) => byte ^ (mask[i] ?? 0)))
}
