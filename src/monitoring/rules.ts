/** What a person wants to be told of in time: pure rules over what the services know at one moment. Instants are in epoch milliseconds. */
import { Duration } from "effect"
import type { Rule } from "../domain/alertRule.ts"
import type { TokenState } from "../pool/tokenState.ts"
import type { ProviderStanding } from "../traffic/Governor.ts"

export { type Rule, rules } from "../domain/alertRule.ts"

export interface Timing {
  /** How long the condition must have held before it is told. */
  readonly holdFor: number
  /** How long it must have been clear before that is told. */
  readonly clearFor: number
}

const clearFor = Duration.toMillis("1 minute")

/**
 * What is counted in the ledger is certain at once. A token that is being probed or renewed is unusable for a moment, a circuit
 * that opens by a guess is tried again after 10, 20, then 25 seconds, and a prediction moves with every call: these must last.
 */
export const timings: Readonly<Record<Rule, Timing>> = {
  acquisition_rate: { holdFor: 0, clearFor },
  acquisition_budget: { holdFor: 0, clearFor },
  tokens_unusable: { holdFor: Duration.toMillis("15 seconds"), clearFor },
  provider_down: { holdFor: Duration.toMillis("30 seconds"), clearFor },
  quota_ending: { holdFor: Duration.toMillis("30 seconds"), clearFor }
}

export interface BudgetFacts {
  readonly provider: string
  /** Attempts in the last hour and day, and how many there may be. */
  readonly hourly: number
  readonly daily: number
  readonly limits: { readonly hourly: number; readonly daily: number }
}

export interface TokenFacts {
  readonly provider: string
  readonly held: number
  readonly usable: number
  /** Of those that are not usable. */
  readonly states: Readonly<Partial<Record<TokenState["_tag"], number>>>
  /** Whether a usable one is not predicted to be used up soon. Says nothing when none is usable. */
  readonly lasts: boolean
}

export interface Facts {
  readonly now: number
  readonly budgets: ReadonlyArray<BudgetFacts>
  readonly tokens: ReadonlyArray<TokenFacts>
  readonly standings: ReadonlyArray<Pick<ProviderStanding, "name" | "heldUntil" | "targets">>
}

/** How a rule stands with a subject. A subject that is not mentioned is clear. `unknown` changes nothing. */
export type Judgement = { readonly rule: Rule; readonly subject: string } & (
  | { readonly state: "unknown" }
  | {
      readonly state: "holds"
      readonly message: string
      readonly values: Readonly<Record<string, number>>
    }
)

export const idOf = ({ rule, subject }: { readonly rule: Rule; readonly subject: string }): string =>
  `${rule}:${subject}`

/** A provider that limits calls by the minute may well ask for one of silence. */
const usualPause = Duration.toMillis("1 minute")

export const judge = (facts: Facts, alertAbove: number): ReadonlyArray<Judgement> => [
  ...facts.budgets.flatMap((budget) => [...rateOf(budget, alertAbove), ...budgetOf(budget)]),
  ...facts.tokens.flatMap((tokens) => [...unusableOf(tokens), ...endingOf(tokens)]),
  ...facts.standings.flatMap((standing) => downOf(standing, facts))
]

const rateOf = ({ hourly, provider: subject }: BudgetFacts, above: number): ReadonlyArray<Judgement> =>
  hourly <= above
    ? []
    : [
        {
          rule: "acquisition_rate",
          subject,
          state: "holds",
          message: `${hourly} tokens of ${subject} were asked for within an hour, more than ${above}`,
          values: { hourly, above }
        }
      ]

const budgetOf = ({ daily, hourly, limits, provider: subject }: BudgetFacts): ReadonlyArray<Judgement> =>
  hourly < limits.hourly && daily < limits.daily
    ? []
    : [
        {
          rule: "acquisition_budget",
          subject,
          state: "holds",
          message: `the budget for new tokens of ${subject} is used up: ${hourly} of ${limits.hourly} in the hour, ${daily} of ${limits.daily} in the day`,
          values: { hourly, hourlyLimit: limits.hourly, daily, dailyLimit: limits.daily }
        }
      ]

const unusableOf = ({ held, provider: subject, states, usable }: TokenFacts): ReadonlyArray<Judgement> =>
  held === 0 || usable > 0
    ? []
    : [
        {
          rule: "tokens_unusable",
          subject,
          state: "holds",
          message: `${subject} has no usable token: ${Object.entries(states)
            // An active one is out for want of a secret.
            .map(([state, count]) => `${count} ${state === "active" ? "not renewed" : state}`)
            .join(", ")}`,
          values: { held, ...states }
        }
      ]

/** Once the last token is out, `tokens_unusable` says so; until one is back, there is nothing to predict. */
const endingOf = ({ held, lasts, provider: subject, usable }: TokenFacts): ReadonlyArray<Judgement> => {
  if (held === 0) return []
  if (usable === 0) return [{ rule: "quota_ending", subject, state: "unknown" }]
  if (lasts) return []
  const message = `the quota of ${subject} is about to end: none of its usable tokens (${usable}) is predicted to last`
  return [{ rule: "quota_ending", subject, state: "holds", message, values: { held, usable } }]
}

const downOf = (
  { heldUntil, name: subject, targets }: Facts["standings"][number],
  { now, tokens }: Facts
): ReadonlyArray<Judgement> => {
  const rule = "provider_down"
  const out = targets.filter(({ circuit }) => circuit === "open" || circuit === "half_open").length
  if (targets.length > 0 && out === targets.length) {
    const message = `${subject} is down: ${out === 1 ? "its target is" : `all of its ${out} targets are`} out of order`
    return [{ rule, subject, state: "holds", message, values: { targets: out } }]
  }
  // For want of a token nothing is sent there either, which `tokens_unusable` tells.
  const isWithoutToken = tokens.some(({ held, provider, usable }) => provider === subject && held > 0 && usable === 0)
  const isHeld = heldUntil !== undefined && heldUntil > now && !isWithoutToken
  if (isHeld && heldUntil - now > usualPause) {
    const message = `${subject} is down: it asks for no requests for another ${shown(heldUntil - now)}`
    return [{ rule, subject, state: "holds", message, values: { until: heldUntil } }]
  }
  // After a start nobody knows before it is called; and one that asks for silence again and again does not recover in between.
  return targets.length === 0 || isHeld ? [{ rule, subject, state: "unknown" }] : []
}

export const recovered = (rule: Rule, subject: string, lasted: number): string =>
  `${recoveries[rule](subject)}, after ${shown(lasted)}`

const recoveries: Readonly<Record<Rule, (subject: string) => string>> = {
  acquisition_rate: (subject) => `tokens of ${subject} are no longer asked for too often`,
  acquisition_budget: (subject) => `the budget for new tokens of ${subject} has room again`,
  tokens_unusable: (subject) => `${subject} is no longer without a usable token`,
  provider_down: (subject) => `${subject} is no longer down`,
  quota_ending: (subject) => `the quota of ${subject} is no longer about to end`
}

/** To the second. */
const shown = (millis: number) => Duration.format(Duration.seconds(Math.max(1, Math.round(millis / 1000))))
