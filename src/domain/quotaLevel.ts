/** How much of a token's quota is expected to be left, most first. */
export const levels = ["HIGH", "MEDIUM", "LOW", "CRITICAL", "EXHAUSTED"] as const
export type Level = (typeof levels)[number]
