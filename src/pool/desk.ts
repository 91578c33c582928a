/** Who borrows what in this process: picks tokens, counts loans, and lets one probe out at a time. Never waits. */
import type { Redacted } from "effect"
import type { TokenId } from "../domain/Token.ts"
import { isFree } from "./claim.ts"
import type { Holdings } from "./holdings.ts"
import * as Line from "./line.ts"
import { providerStanding } from "./providerState.ts"
import type { Secrets } from "./secrets.ts"
import { type Shortage, shortageOf } from "./shortage.ts"
import { byPriority, type Candidate, choose, type Strategy, type Turn } from "./strategies.ts"
import { returnsAt, standing, type Standing } from "./tokenState.ts"
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

export interface Desk {
  /**
   * Lends a token, to be given back. With `only`, that one or none; with `fits`, the one whose turn it is or none, and then it is its
   * turn still.
   */
  pick(
    provider: string,
    strategy: Strategy,
    exclude: ReadonlySet<TokenId>,
    now: number,
    only?: TokenId | undefined,
    fits?: (record: TokenRecord, now: number, isProbe: boolean) => boolean
  ): Loan | undefined
  /** The probe has ended, or is none. How it ended is to be told to the holdings at once. */
  endProbe(loan: Loan): void
  giveBack(loan: Loan): void
  standing(record: TokenRecord, now: number): Standing
  leased(id: TokenId): number
  /** The whole provider is left alone. */
  isLimited(provider: string, now: number): boolean
  shortage(provider: string, exclude: ReadonlySet<TokenId>, now: number, only?: TokenId | undefined): Shortage
  /** Drops what is kept of tokens that are held no more. */
  tidy(): void
}

interface Tally {
  leased: number
  lentAt: number
  turn: number
  probing: boolean
}

interface Choice extends Candidate {
  readonly record: TokenRecord
}

/** The tokens of a provider that may be lent, until something other than lending happens to one. */
interface Current {
  readonly line: Line.Line<Choice>
  readonly changes: number
  /** When one that is out may come back by itself. */
  until: number
}

/** `process` names this process among those that share the store. */
export const make = (holdings: Holdings, secrets: Secrets, process: string): Desk => {
  /** One for each token held. */
  const tallies = new Map<TokenId, Tally>()
  /** By provider; there are as many as the configuration names. */
  const probing = new Set<string>()
  const lastLent = new Map<string, Turn>()
  const currents = new Map<string, Current>()
  let turns = 0

  const tallyOf = (id: TokenId) => {
    let tally = tallies.get(id)
    if (tally === undefined) {
      tallies.set(id, (tally = { leased: 0, lentAt: Number.NEGATIVE_INFINITY, turn: 0, probing: false }))
    }
    return tally
  }

  const standingHere = (record: TokenRecord, now: number): Standing => {
    const own = standing(record, now)
    if (own === "out" || secrets.isLocked(record)) return "out"
    return own === "due" && (tallyOf(record.id).probing || !isFree(record.probe, process, now)) ? "out" : own
  }

  const providerHere = (name: string, now: number): Standing => {
    const record = holdings.provider(name)
    const own = providerStanding(record, now)
    return own === "due" && (probing.has(name) || !isFree(record?.probe, process, now)) ? "out" : own
  }

  const endProbe = (loan: Loan) => {
    if (loan.probesToken) tallyOf(loan.record.id).probing = false
    if (loan.probesProvider) probing.delete(loan.record.provider)
    loan.probesToken = false
    loan.probesProvider = false
  }

  const choiceOf = (record: TokenRecord, now: number): Choice | undefined => {
    const own = standingHere(record, now)
    if (own === "out") return undefined
    const { lentAt, turn } = tallyOf(record.id)
    return { record, lentAt, turn, probe: own === "due" }
  }

  const choicesOf = (provider: string, now: number) => {
    const choices: Array<Choice> = []
    holdings.each(provider, (record) => {
      const choice = choiceOf(record, now)
      if (choice !== undefined) choices.push(choice)
    })
    return choices
  }

  /** When one that is out may be lent without anything having been told of it. */
  const comesBack = (record: TokenRecord, now: number): number => {
    const back = returnsAt(record, now) ?? Number.POSITIVE_INFINITY
    if (back > now) return back
    return isFree(record.probe, process, now) ? Number.POSITIVE_INFINITY : (record.probe?.until ?? now)
  }

  const currentOf = (provider: string, now: number): Current => {
    const known = currents.get(provider)
    const changes = holdings.changes()
    if (known !== undefined && known.changes === changes && now < known.until) return known
    const line = Line.make(byPriority, choicesOf(provider, now))
    const current = { line, changes, until: Number.POSITIVE_INFINITY }
    holdings.each(provider, (record) => {
      if (standingHere(record, now) === "out") current.until = Math.min(current.until, comesBack(record, now))
    })
    currents.set(provider, current)
    return current
  }

  const firstInLine = (provider: string, exclude: ReadonlySet<TokenId>, now: number) => {
    const current = currentOf(provider, now)
    return current.line.first((id) => {
      const record = holdings.get(id)
      const choice = record && choiceOf(record, now)
      if (record !== undefined && choice === undefined) {
        current.until = Math.min(current.until, comesBack(record, now))
      }
      return choice
    }, exclude)
  }

  const thatOne = (provider: string, id: TokenId, exclude: ReadonlySet<TokenId>, now: number) => {
    const record = exclude.has(id) ? undefined : holdings.get(id)
    return record?.provider === provider ? choiceOf(record, now) : undefined
  }

  const candidateOf = (provider: string, strategy: Strategy, exclude: ReadonlySet<TokenId>, now: number) =>
    strategy === "priority"
      ? firstInLine(provider, exclude, now)
      : choose(
          strategy,
          choicesOf(provider, now).filter(({ record }) => !exclude.has(record.id)),
          lastLent.get(provider)
        )

  return {
    pick: (provider, strategy, exclude, now, only, fits) => {
      const whole = providerHere(provider, now)
      if (whole === "out") return undefined
      const candidate =
        only === undefined ? candidateOf(provider, strategy, exclude, now) : thatOne(provider, only, exclude, now)
      if (candidate === undefined) return undefined
      const { probe, record } = candidate
      if (fits?.(record, now, probe || whole === "due") === false) return undefined
      const tally = tallyOf(record.id)
      // Whose turn it is has nothing to do with one that was asked for by name.
      if (only === undefined) lastLent.set(provider, record)
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
    shortage: (provider, exclude, now, only) =>
      shortageOf(ofThose(holdings.of(provider), only), now, {
        exclude,
        standing: (record) => standingHere(record, now),
        isLocked: secrets.isLocked,
        limitedUntil:
          providerHere(provider, now) === "out" ? (holdings.provider(provider)?.cooling?.until ?? now) : undefined
      }),
    tidy: () => {
      for (const [id, tally] of tallies) {
        if (tally.leased > 0 || holdings.get(id) !== undefined) continue
        tallies.delete(id)
        secrets.forget(id)
      }
    }
  }
}

const ofThose = (records: ReadonlyArray<TokenRecord>, only: TokenId | undefined) =>
  only === undefined ? records : records.filter(({ id }) => id === only)
