/**
 * The pure rules of prediction: how much quota a token has left, and how sure that is. The upstream's own word outranks every
 * guess while it is fresh; without evidence the confidence is 0.
 */
import { type Level, levels } from "../domain/quotaLevel.ts"
import type { TokenKind } from "../domain/Token.ts"
import { type KindEvidence, minute, recentBuckets, type TokenEvidence, usualWindow } from "./evidence.ts"

export interface Prediction {
  readonly level: Level
  /** 0 to 1: how sure it is that the quota is, or is not, about to end. */
  readonly confidence: number
  /** The chance that the next request is refused for want of quota, as far as the token is known. */
  readonly chance: number
  /** What decided. */
  readonly reason: string
}

/** Whether the quota is ending: the question on which a token is asked for or not. */
export const isShort = (level: Level) => level === "CRITICAL" || level === "EXHAUSTED"

interface Sign {
  readonly level: Level
  readonly confidence: number
  readonly reason: string
}

export interface PredictRules {
  /** Minutes of traffic that count. */
  readonly windowMinutes: number
  /** For how long the upstream's own word is believed, in milliseconds. */
  readonly fresh: number
}

export const defaults: PredictRules = { windowMinutes: usualWindow, fresh: 15 * minute }

/** Requests in the window from which on what they show is certain. */
const enoughRequests = 20
/** Lives of other tokens at or past this one's age from which on what they show is certain. */
const enoughLives = 10

/** D2: an anonymous token lasts some 10–20 requests. It weighs as one token, and adds no confidence. */
const usual: Partial<Record<TokenKind, { readonly from: number; readonly to: number }>> = {
  anonymous: { from: 10, to: 20 }
}

export interface Lives {
  readonly kind: TokenKind
  /** Requests that used-up tokens of the kind had served. */
  readonly ended: ReadonlyArray<number>
  /** Requests that living ones have served so far. */
  readonly living: ReadonlyArray<number>
}

export const predict = (
  now: number,
  kind: KindEvidence,
  lives: Lives,
  token: TokenEvidence | undefined,
  rules: PredictRules = defaults
): Prediction => {
  const survival = token === undefined ? undefined : survivalOf(lives, token.served)
  const chance = survival?.chance ?? 0
  const told = token === undefined ? undefined : toldBy(now, token, rules)
  if (told !== undefined)
    return { ...told, chance: told.level === "EXHAUSTED" ? 1 : told.level === "HIGH" ? 0 : chance }
  const signs = [...windowSigns(now, kind, rules), ...(survival === undefined ? [] : [survival.sign])]
  return { ...combine(signs), chance }
}

/** The most worrying sign that has any weight, believed as far as the signs on its side of the question are. */
const combine = (signs: ReadonlyArray<Sign>): Sign => {
  const weighty = signs.filter(({ confidence }) => confidence > 0)
  const candidates = weighty.length > 0 ? weighty : signs
  if (candidates.length === 0) return { level: "HIGH", confidence: 0, reason: "nothing is known yet" }
  const worst = candidates.reduce((a, b) => (levels.indexOf(b.level) > levels.indexOf(a.level) ? b : a))
  const agreeing = candidates.filter(({ level }) => isShort(level) === isShort(worst.level))
  return { ...worst, confidence: Math.max(...agreeing.map(({ confidence }) => confidence)) }
}

const toldBy = (
  now: number,
  { exhausted, quota, served }: TokenEvidence,
  { fresh }: PredictRules
): Sign | undefined => {
  if (exhausted !== undefined && now < exhausted.until) {
    return { level: "EXHAUSTED", confidence: 1, reason: "the upstream said that nothing is left" }
  }
  if (quota === undefined || Math.abs(now - quota.at) > fresh) return undefined
  if (quota.resetAt !== undefined && quota.resetAt <= now) return undefined
  const left = quota.unlimited ? Number.POSITIVE_INFINITY : quota.remaining - Math.max(served - quota.served, 0)
  const share = quota.unlimited ? 1 : left / Math.max(quota.limit, 1)
  const reason = quota.unlimited ? "the upstream sets no limit" : `the upstream said that ${quota.remaining} are left`
  const level =
    left <= 0 ? "EXHAUSTED" : share <= 0.05 ? "CRITICAL" : share <= 0.2 ? "LOW" : share <= 0.5 ? "MEDIUM" : "HIGH"
  return { level, confidence: 1, reason }
}

const windowSigns = (now: number, kind: KindEvidence, { windowMinutes }: PredictRules): ReadonlyArray<Sign> => {
  const sum = { requests: 0, errors: 0, quotaErrors: 0, timed: 0, latency: 0 }
  for (const bucket of recentBuckets(kind, now, windowMinutes)) {
    sum.requests += bucket.requests
    sum.errors += bucket.errors
    sum.quotaErrors += bucket.quotaErrors
    sum.timed += bucket.timed
    sum.latency += bucket.latency
  }
  if (sum.requests === 0) return []
  const confidence = Math.min(1, sum.requests / enoughRequests)
  const quota = sum.quotaErrors / sum.requests
  const errors = sum.errors / sum.requests
  const sign = (level: Level, reason: string): Sign => ({ level, confidence, reason })
  if (quota > 0.5) return [sign("EXHAUSTED", "most requests are refused for want of quota")]
  if (quota > 0.2) return [sign("CRITICAL", "many requests are refused for want of quota")]
  if (errors > 0.7) return [sign("LOW", "most requests fail")]
  if (errors > 0.3) return [sign("MEDIUM", "many requests fail")]
  if (sum.timed > 0 && sum.latency / sum.timed > 5_000) return [sign("MEDIUM", "requests take more than 5 seconds")]
  return [sign("HIGH", "requests are served")]
}

/** How far ahead the end is looked for. */
const farthest = 8

/**
 * Kaplan–Meier: of the tokens that came as far as this one, how many were refused their next request? Tokens still alive
 * count as far as they have been seen to live.
 */
export const survivalOf = ({ kind, ended, living }: Lives, served: number) => {
  const deaths = Array.from({ length: farthest + 2 }, () => 0)
  const reached = Array.from({ length: farthest + 2 }, () => 0)
  const count = (into: Array<number>, ahead: number) => {
    const i = Math.min(ahead, farthest + 1)
    if (i >= 0) into[i] = (into[i] ?? 0) + 1
  }
  for (const life of ended) {
    count(deaths, life - served)
    count(reached, life - served)
  }
  for (const life of living) count(reached, life - 1 - served)
  for (let i = farthest; i >= 0; i--) reached[i] = (reached[i] ?? 0) + (reached[i + 1] ?? 0)

  const chanceAt = (ahead: number) => {
    const expected = usualAt(kind, served + ahead)
    const atRisk = (reached[ahead] ?? 0) + expected.reached
    // Where none has been, all that is known is that every request so far was served (rule of succession).
    return atRisk === 0 ? 1 / (served + ahead + 2) : ((deaths[ahead] ?? 0) + expected.deaths) / atRisk
  }
  let left = 0
  for (let alive = 1; left <= farthest; left++) {
    alive *= 1 - chanceAt(left)
    if (alive < 0.5) break
  }
  const level: Level = left < 1 ? "CRITICAL" : left <= 3 ? "LOW" : left <= farthest ? "MEDIUM" : "HIGH"
  const confidence = Math.min(1, (reached[0] ?? 0) / enoughLives)
  const reason = `tokens of its kind serve ${left > farthest ? `more than ${farthest}` : `about ${left}`} more from here`
  return { chance: chanceAt(0), sign: { level, confidence, reason } }
}

/** The share of one usual token that comes so far, and that ends there. */
const usualAt = (kind: TokenKind, n: number) => {
  const range = usual[kind]
  if (range === undefined) return { reached: 0, deaths: 0 }
  const spread = range.to - range.from + 1
  const reached = Math.max(range.to - Math.max(n, range.from) + 1, 0) / spread
  return { reached, deaths: n >= range.from && n <= range.to ? 1 / spread : 0 }
}
