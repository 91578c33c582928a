/** Where a request may still go after what has become of it so far: pure, and finite. */
import type { CallFailure } from "../domain/Failure.ts"
import type { Target } from "../domain/Provider.ts"
import type { TokenId } from "../domain/Token.ts"

export interface Plan {
  /** Those that may still be tried, in order of preference. */
  readonly targets: ReadonlyArray<Target>
  /** Those whose provider has no token now, and when (epoch ms) it will have one; never, when that takes a person. */
  readonly aside: ReadonlyArray<{ readonly targets: ReadonlyArray<Target>; readonly until: number }>
  /** Those that have shown to be no good for this request. */
  readonly tokens: ReadonlySet<TokenId>
  /** Upstream calls made. */
  readonly attempts: number
  readonly mostAttempts: number
  /** The one that failed last and was left for others. */
  readonly failed: Target | undefined
  /** Whether a target that failed has been given a second chance. */
  readonly hasRepeated: boolean
}

export const planOf = (targets: ReadonlyArray<Target>, mostAttempts: number): Plan => ({
  targets,
  aside: [],
  tokens: nobody,
  attempts: 0,
  mostAttempts,
  failed: undefined,
  hasRepeated: false
})

const nobody: ReadonlySet<TokenId> = new Set()

export interface Failed {
  readonly target: Target
  readonly token: TokenId
  readonly failure: CallFailure
  /** Whether it has left: a request that was refused here says what the target cannot do, and is no attempt. */
  readonly sent: boolean
}

/** What to do about a failure: what its caller must mend, or with whom else it may go well. */
export type Remedy =
  /** With another token of any target that is left. */
  | "token"
  /** At another target; at the same once more when there is none. */
  | "target"
  /** At a target with another model: the same one would say the same. */
  | "model"
  /** At a target that is able to. */
  | "able"
  | "caller"

export const remedyOf = ({ failure, sent }: Pick<Failed, "failure" | "sent">): Remedy => {
  switch (failure._tag) {
    case "QuotaExhausted":
    case "AccessRejected":
    case "AccountBlocked":
    case "Throttled":
      return "token"
    case "UpstreamUnavailable":
      return "target"
    case "RequestRejected":
      if (!sent || failure.code === "model_not_found") return "able"
      return failure.code === "context_length_exceeded" || failure.code === "content_filter" ? "model" : "caller"
  }
}

export type Next =
  | { readonly _tag: "Move"; readonly plan: Plan }
  /** The same target once more, after a pause. */
  | { readonly _tag: "Repeat"; readonly plan: Plan }
  | { readonly _tag: "GiveUp" }

export const after = (before: Plan, failed: Failed): Next => {
  const { failure, target, token } = failed
  const isCall = failed.sent || failure._tag === "UpstreamUnavailable"
  const remedy = remedyOf(failed)
  const plan = {
    ...before,
    attempts: before.attempts + (isCall ? 1 : 0),
    failed: remedy === "target" ? target : before.failed
  }
  if (remedy === "caller" || plan.attempts >= plan.mostAttempts) return giveUp
  if (remedy === "token") return { _tag: "Move", plan: { ...plan, tokens: new Set([...plan.tokens, token]) } }
  const may = (other: Target) => (remedy === "model" ? other.model !== target.model : !isSame(other, target))
  const targets = plan.targets.filter(may)
  const aside = plan.aside.flatMap((part) => {
    const left = part.targets.filter(may)
    return left.length > 0 ? [{ ...part, targets: left }] : []
  })
  if (targets.length > 0) return { _tag: "Move", plan: { ...plan, targets, aside } }
  // A target that may be well again in a moment comes before a wait for a token.
  if (remedy === "target" && !plan.hasRepeated) {
    return { _tag: "Repeat", plan: { ...plan, targets: [target], aside, hasRepeated: true } }
  }
  return aside.length > 0 ? { _tag: "Move", plan: { ...plan, targets, aside } } : giveUp
}

/** The provider has no token before then: its targets wait aside while there are others. */
export const setAside = (plan: Plan, provider: string, until: number): Plan => ({
  ...plan,
  targets: plan.targets.filter((target) => target.provider !== provider),
  aside: [...plan.aside, { targets: plan.targets.filter((target) => target.provider === provider), until }]
})

/**
 * Whether a provider without a token will have one in time, for this request and for everyone: then all stay in its line, and it is
 * the provider that is left alone. With no other left, the request is set aside and comes back by itself.
 */
export const isWorthWaiting = ({ targets, tokens }: Plan, short: string, back: number, within: number): boolean =>
  tokens.size === 0 && back <= within && targets.some(({ provider }) => provider !== short)

/** With nobody else left who has a token: once more the one that failed, which may be well again in a moment. */
export const repeated = (plan: Plan): Plan | undefined =>
  plan.failed === undefined || plan.hasRepeated ? undefined : { ...plan, targets: [plan.failed], hasRepeated: true }

/** With nobody else left, those whose token comes back first, if that is in time. What they tried is the pool's to hold back. */
export const readmit = (
  plan: Plan,
  within: number
): { readonly plan: Plan; readonly provider: string; readonly until: number } | undefined => {
  const first = plan.aside.reduce<Plan["aside"][number] | undefined>(
    (soonest, part) => (soonest === undefined || part.until < soonest.until ? part : soonest),
    undefined
  )
  const provider = first?.targets[0]?.provider
  if (first === undefined || provider === undefined || first.until > within) return undefined
  return {
    plan: {
      ...plan,
      targets: first.targets,
      aside: plan.aside.filter((part) => part !== first),
      tokens: nobody
    },
    provider,
    until: first.until
  }
}

const giveUp: Next = { _tag: "GiveUp" }

const isSame = (a: Target, b: Target) => a.provider === b.provider && a.model === b.model
