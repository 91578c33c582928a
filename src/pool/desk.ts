/** Who borrows what in this process: picks tokens, counts loans, and lets one probe out at a time. Never waits. */
import type { Redacted } from "effect"
import type { TokenId } from "../domain/Token.ts"
import type { Holdings } from "./holdings.ts"
import { providerStanding } from "./providerState.ts"
import type { Secrets } from "./secrets.ts"
import { type Candidate, choose, type Strategy, type Turn } from "./strategies.ts"
import { accessIsValid, type Claim, returnsAt, standing, type Standing, stateAt } from "./tokenState.ts"
import type { TokenRecord } from "./tokenState.ts"

/** A token that is lent. */
export interface Loan {
  readonly record: TokenRecord
  readonly probe: boolean
  probesToken: boolean
  probesProvider: boolean
  /** The access secret that is used, and its generation. */
  access: Redacted.Redacted | undefined
  generation: number
  /** How it ended is known. */
  reported: boolean
}

/** Why nothing is lent, and when that changes by itself. */
export interface Shortage {
  readonly held: number
  readonly reason: string
  readonly endsAt: number | undefined
}

export interface Desk {
  /** Lends a token, to be given back. */
  pick(provider: string, strategy: Strategy, exclude: ReadonlySet<TokenId>, now: number): Loan | undefined
  /** The probe has ended, or is none. */
  endProbe(loan: Loan): void
  giveBack(loan: Loan): void
  standing(record: TokenRecord, now: number): Standing
  leased(id: TokenId): number
  /** The whole provider is left alone. */
  isLimited(provider: string, now: number): boolean
  shortage(provider: string, exclude: ReadonlySet<TokenId>, now: number): Shortage
  /** Drops what is kept of tokens that are held no more. */
  tidy(): void
}

/** How soon it is worth asking again while a probe is out: its end cannot be foretold. */
const whileProbed = 1_000

interface Tally {
  leased: number
  lentAt: number
  turn: number
  probing: boolean
}

interface Choice extends Candidate {
  readonly record: TokenRecord
  readonly tally: Tally
}

/** `process` names this process among those that share the store. */
export const make = (holdings: Holdings, secrets: Secrets, process: string): Desk => {
  /** One for each token held. */
  const tallies = new Map<TokenId, Tally>()
  /** By provider; there are as many as the configuration names. */
  const probing = new Set<string>()
  const lastLent = new Map<string, Turn>()
  let turns = 0

  const tallyOf = (id: TokenId) => {
    let tally = tallies.get(id)
    if (tally === undefined) {
      tallies.set(id, (tally = { leased: 0, lentAt: Number.NEGATIVE_INFINITY, turn: 0, probing: false }))
    }
    return tally
  }

  const isOthers = (claim: Claim | undefined, now: number) =>
    claim !== undefined && claim.by !== process && now < claim.until

  const standingHere = (record: TokenRecord, now: number): Standing => {
    const own = standing(record, now)
    if (own === "out" || secrets.isLocked(record)) return "out"
    return own === "due" && (tallyOf(record.id).probing || isOthers(record.probe, now)) ? "out" : own
  }

  const providerHere = (name: string, now: number): Standing => {
    const record = holdings.provider(name)
    const own = providerStanding(record, now)
    return own === "due" && (probing.has(name) || isOthers(record?.probe, now)) ? "out" : own
  }

  const endProbe = (loan: Loan) => {
    if (loan.probesToken) tallyOf(loan.record.id).probing = false
    if (loan.probesProvider) probing.delete(loan.record.provider)
    loan.probesToken = false
    loan.probesProvider = false
  }

  return {
    pick: (provider, strategy, exclude, now) => {
      const whole = providerHere(provider, now)
      if (whole === "out") return undefined
      const choices: Array<Choice> = []
      for (const record of holdings.all()) {
        if (record.provider !== provider || exclude.has(record.id)) continue
        const own = standingHere(record, now)
        if (own === "out") continue
        const tally = tallyOf(record.id)
        choices.push({ record, tally, lentAt: tally.lentAt, turn: tally.turn, probe: own === "due" })
      }
      const choice = choose(strategy, choices, lastLent.get(provider))
      if (choice === undefined) return undefined
      const { record, tally, probe } = choice
      lastLent.set(provider, record)
      tally.leased += 1
      tally.lentAt = now
      tally.turn = ++turns
      if (probe) tally.probing = true
      if (whole === "due") probing.add(provider)
      return {
        record,
        probe: probe || whole === "due",
        probesToken: probe,
        probesProvider: whole === "due",
        access: undefined,
        generation: record.generation,
        reported: false
      }
    },
    endProbe,
    giveBack: (loan) => {
      endProbe(loan)
      tallyOf(loan.record.id).leased -= 1
    },
    standing: standingHere,
    leased: (id) => tallies.get(id)?.leased ?? 0,
    isLimited: (provider, now) => providerHere(provider, now) === "out",
    shortage: (provider, exclude, now) => {
      const records = holdings.of(provider)
      const counts = new Map<string, number>()
      let endsAt = Number.POSITIVE_INFINITY
      for (const record of records) {
        const why = hindrance(record, now, standingHere(record, now), secrets.isLocked(record), exclude)
        counts.set(why, (counts.get(why) ?? 0) + 1)
        if (secrets.isLocked(record)) continue
        const back = returnsAt(record, now)
        if (back === undefined || (exclude.has(record.id) && back <= now)) continue
        const isProbed = back <= now && standingHere(record, now) === "out"
        endsAt = Math.min(endsAt, isProbed ? now + whileProbed : back)
      }
      const tokens = [...counts].map(([why, count]) => `${count} ${why}`).join(", ")
      const limited = providerHere(provider, now) === "out"
      if (limited) endsAt = Math.max(endsAt, holdings.provider(provider)?.cooling?.until ?? now)
      if (limited && endsAt <= now) endsAt = now + whileProbed
      return {
        held: records.length,
        reason: limited ? "the provider limits us as a whole" : records.length === 0 ? "none is held" : tokens,
        endsAt: Number.isFinite(endsAt) ? endsAt : undefined
      }
    },
    tidy: () => {
      for (const [id, tally] of tallies) {
        if (tally.leased > 0 || holdings.get(id) !== undefined) continue
        tallies.delete(id)
        secrets.forget(id)
      }
    }
  }
}

/** One word or two on why a token is not lent. */
const hindrance = (
  record: TokenRecord,
  now: number,
  standingHere: Standing,
  isLocked: boolean,
  exclude: ReadonlySet<TokenId>
): string => {
  const state = stateAt(record.state, now)
  if (isLocked) return "sealed with another key"
  if (standingHere !== "out") return exclude.has(record.id) ? "tried already" : "usable"
  if (standing(record, now) === "due") return "being probed"
  if (state._tag !== "active") return state._tag
  return accessIsValid(record, now) ? "usable" : record.refresh === undefined ? "without a secret" : "not renewed yet"
}
