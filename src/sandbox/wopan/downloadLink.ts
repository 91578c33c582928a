/** Addresses at which a file can be had for a while, signed so that they cannot be made up. Pure. */
import { hex } from "../seed.ts"

/** How long an address is good, in milliseconds; the real ones' time is not known. */
export const lifetime = 15 * 60 * 1_000

interface Link {
  readonly seed: string
  readonly fid: string
  /** Epoch milliseconds. */
  readonly now: number
}

export const addressOf = (base: string, { fid, now, seed }: Link): string => {
  const until = now + lifetime
  return `${base}/openapi/download?fid=${encodeURIComponent(`${fid}.${until}.${proofOf(seed, fid, `${until}`)}`)}`
}

/** The file of an address that is good at this time. */
export const fidOf = (signed: string, { now, seed }: Omit<Link, "fid">): string | undefined => {
  const [fid = "", until = "", proof] = signed.split(".")
  return proof === proofOf(seed, fid, until) && now < Number(until) ? fid : undefined
}

const proofOf = (seed: string, fid: string, until: string) => hex(32, seed, "download", fid, until)
