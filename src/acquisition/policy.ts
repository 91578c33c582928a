/** The pure rules on whether there is a reason to ask an upstream for a token at all: step 4. */
import { Duration } from "effect"
import type { TokenKind } from "../domain/Token.ts"

/** How a held token stands, as far as asking for another one is concerned. */
export interface HeldToken {
  readonly kind: TokenKind
  readonly createdAt: number
  /** `resting` comes back, `exhausted` is known to have no quota left, `gone` never comes back by itself. */
  readonly state: "usable" | "resting" | "exhausted" | "gone"
}

export interface Facts {
  readonly now: number
  readonly provider: string
  /** Whether the operator lets tokens be made at this provider. */
  readonly minting: boolean
  /** Why a token is wanted. */
  readonly error: string
  readonly tokens: ReadonlyArray<HeldToken>
  /** Until when a limit above the tokens makes the pool leave the provider alone. */
  readonly coolingUntil: number | undefined
  /** Until when the upstream's "too many requests" to a creation holds. */
  readonly creationRefusedUntil: number | undefined
  readonly lastAttemptAt: number | undefined
}

export interface PolicyRules {
  /** An anonymous token younger than this and not known to be used up is enough. */
  readonly youth: Duration.Duration
  /** Time after a creation in which there is no reason for another. */
  readonly pause: Duration.Duration
}

export const defaults: PolicyRules = { youth: Duration.minutes(30), pause: Duration.minutes(5) }

export interface Judgement {
  readonly allowed: boolean
  readonly reason: string
  /** Milliseconds until the rule lets go, where it does so by itself. */
  readonly retryAfterMs?: number | undefined
}

export const judge = (facts: Facts, rules: PolicyRules = defaults): Judgement => {
  const { now, tokens, provider } = facts
  const usable = tokens.filter(({ state }) => state === "usable")
  const anonymous = tokens.filter(({ kind }) => kind === "anonymous")
  const newest = anonymous.toSorted((a, b) => b.createdAt - a.createdAt)[0]
  const about = subjectOf(facts.error)
  const deny = (reason: string, until?: number): Judgement => ({
    allowed: false,
    reason,
    ...(until !== undefined && { retryAfterMs: Math.max(until - now, 0) })
  })

  if (!facts.minting) {
    return deny(`making tokens at ${provider} is switched off; its operator can allow it with "minting": true`)
  }
  if (facts.coolingUntil !== undefined && now < facts.coolingUntil) {
    return deny(`${provider} asks for fewer requests`, facts.coolingUntil)
  }
  const own = usable.find(({ kind }) => kind !== "anonymous")
  if (own !== undefined) return deny(`a ${own.kind} token is usable`)
  if (newest !== undefined && (newest.state === "usable" || newest.state === "resting")) {
    const youngUntil = newest.createdAt + Duration.toMillis(rules.youth)
    if (now < youngUntil) {
      const reason = "the newest anonymous token is young and not known to be used up"
      return newest.state === "usable" ? deny(reason) : deny(reason, youngUntil)
    }
  }
  // With no token there is nothing an error could be about: the need is plain.
  if (about === "other" && tokens.length > 0) return deny("the error is not about quota")
  if (facts.creationRefusedUntil !== undefined && now < facts.creationRefusedUntil) {
    return deny(`${provider} refuses to create more users for now`, facts.creationRefusedUntil)
  }
  if (about === "too many requests") return deny(`${provider} said "too many requests", which a new token cannot mend`)
  const pausedUntil = (facts.lastAttemptAt ?? Number.NEGATIVE_INFINITY) + Duration.toMillis(rules.pause)
  if (now < pausedUntil) return deny("a token was asked for a moment ago", pausedUntil)
  if (usable.length > 0) return deny("an anonymous token is usable")

  if (tokens.length === 0) return { allowed: true, reason: "no token is held" }
  if (tokens.every(({ state }) => state === "gone")) return { allowed: true, reason: "every token is gone for good" }
  if (anonymous.some(({ state }) => state === "exhausted")) {
    return { allowed: true, reason: "the anonymous quota is used up" }
  }
  return { allowed: true, reason: "no token is usable" }
}

/** What an error says is wanting. */
export type Subject = "quota" | "no token" | "expired" | "too many requests" | "other"

const subjects: ReadonlyArray<readonly [Subject, RegExp]> = [
  ["quota", /quota|out.of.credits|no (?:more )?(?:ai )?(?:requests|credits) (?:remaining|left)|used up|exhausted/],
  ["no token", /no (?:\w+ )?token|without a token|token (?:is )?missing|pool is empty/],
  ["expired", /expired|invalid[ _]refresh[ _]token|token[ _]expired|user (?:disabled|not found)|no longer accept/],
  ["too many requests", /too many requests|rate.?limit|\b429\b/]
]

export const subjectOf = (error: string): Subject => {
  const text = error.toLowerCase()
  return subjects.find(([, pattern]) => pattern.test(text))?.[0] ?? "other"
}
