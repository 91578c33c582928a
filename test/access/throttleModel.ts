/** The same rule said as plainly as possible: everything is remembered, and each answer is counted anew. */
const second = 1_000
const minute = 60 * second
const hour = 60 * minute
const day = 24 * hour

interface Attempt {
  readonly address: string
  readonly at: number
  readonly isKnown: boolean
  isCounted: boolean
}

export const make = () => {
  const attempts: Array<Attempt> = []
  const successes: Array<{ readonly address: string; readonly at: number }> = []

  const isKnown = (address: string, now: number) =>
    successes.some((success) => success.address === address && now - success.at < 30 * day)

  const addressOpensAt = (address: string, now: number) => {
    let failures = 0
    let last: number | undefined
    for (const { at } of attempts.filter((each) => each.address === address && each.isCounted)) {
      failures = last !== undefined && at - last >= hour ? 1 : failures + 1
      last = at
    }
    if (last === undefined || now - last >= hour || failures < 5) return now
    let wait = second
    for (let n = 5; n < failures; n++) wait = Math.min(15 * minute, wait * 2)
    return last + wait
  }

  const accountOpensAt = (now: number) => {
    const recent = attempts.filter(({ at, isCounted, isKnown }) => isCounted && !isKnown && now - at < 10 * minute)
    const last = recent.at(-1)
    if (last === undefined || recent.length < 20) return now
    return last.at + Math.min(30, 5 + recent.length - 20) * second
  }

  return {
    /** When one is allowed; it is counted when that is now. */
    begin: (address: string, now: number): { readonly opensAt: number; readonly attempt: Attempt } => {
      const known = isKnown(address, now)
      const opensAt = Math.max(now, addressOpensAt(address, now), known ? now : accountOpensAt(now))
      const attempt = { address, at: now, isKnown: known, isCounted: true }
      if (opensAt === now) attempts.push(attempt)
      return { opensAt, attempt }
    },
    succeed: (attempt: Attempt, now: number) => {
      attempt.isCounted = false
      successes.push({ address: attempt.address, at: now })
    },
    withdraw: (attempt: Attempt) => void (attempt.isCounted = false)
  }
}
