/** Draws that depend on nothing but the seed and what they are drawn for: one seed, one sandbox. */
import { createHmac } from "node:crypto"

export const digest = (seed: string, ...what: ReadonlyArray<string | number>): Buffer =>
  createHmac("sha256", `weirgate sandbox ${seed}`).update(JSON.stringify(what)).digest()

/** At most 64 hexadecimal digits. */
export const hex = (digits: number, seed: string, ...what: ReadonlyArray<string | number>): string =>
  digest(seed, ...what)
    .toString("hex")
    .slice(0, digits)

/** A number from 0 up to, but not, 1. */
export const chance = (seed: string, ...what: ReadonlyArray<string | number>): number =>
  digest(seed, ...what).readUInt32BE(0) / 2 ** 32

/** An integer from `min` to `max`, both included. */
export const between = (min: number, max: number, seed: string, ...what: ReadonlyArray<string | number>): number =>
  min + (digest(seed, ...what).readUInt32BE(0) % (max - min + 1))
