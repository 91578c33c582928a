/** What the original servers told of the token they were at, and what to do next: pure. */
import { priorityOf } from "../domain/Token.ts"
import type { Token } from "./performanceReport.ts"

/** The token that the next request would be served with, or the one used last when none is usable. */
export const currentOf = (tokens: ReadonlyArray<Token>): Token | undefined => {
  const lastUse = (token: Token) => token.lastUsedAt ?? 0
  const usable = tokens.filter((token) => token.usable)
  if (usable.length === 0) return tokens.toSorted((a, b) => lastUse(b) - lastUse(a))[0]
  return usable.toSorted((a, b) => priorityOf[a.kind] - priorityOf[b.kind] || lastUse(a) - lastUse(b))[0]
}

/** In the four words of the original servers. */
export const quotaStatusOf = ({ state, predicted }: Token) => {
  if (state._tag === "exhausted" || predicted.level === "EXHAUSTED") return "exhausted"
  if (predicted.confidence === 0) return "unknown"
  return predicted.level === "LOW" || predicted.level === "CRITICAL" ? "low" : "available"
}

/** `wait`: milliseconds until the budget allows a new anonymous token. */
export const recommend = (current: Token | undefined, wait: number) => {
  if (current?.usable === true) {
    return { action: "keep_current", reason: `token ${current.name} is usable`, priority: "low" } as const
  }
  return wait === 0
    ? ({
        action: "request_anonymous",
        reason: "no token is usable and the budget allows one",
        priority: "high"
      } as const)
    : ({
        action: "wait",
        reason: `no token is usable and the budget allows none for ${Math.ceil(wait / 1000)} s`,
        priority: "medium"
      } as const)
}
