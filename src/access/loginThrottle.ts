/**
 * How often a wrong password may be tried: by the address that tries, and by all of them together. An attempt counts from its
 * begin, so that a hundred at once are a hundred, and no more when it has succeeded. Pure: given the time, never takes it.
 */
import { isIPv4, isIPv6 } from "node:net"

export interface State {
  /** The attempts of each address that have not succeeded, oldest first; the address that tried last comes last. At most 10,000. */
  readonly addresses: ReadonlyMap<string, ReadonlyArray<number>>
  /** Those of the last ten minutes by addresses that are not known, oldest first. Never more than 60, as they thin out. */
  readonly account: ReadonlyArray<number>
  /** When each address logged in last; the newest 1,000. */
  readonly known: ReadonlyMap<string, number>
}

export const empty: State = { addresses: new Map(), account: [], known: new Map() }

/** An attempt under way. */
export interface Attempt {
  readonly address: string
  readonly at: number
  /** The address had logged in before, so that the account's limit was not asked. */
  readonly isKnown: boolean
}

export type Input =
  | { readonly _tag: "Begin"; readonly address: string }
  | { readonly _tag: "Succeeded"; readonly attempt: Attempt }
  /** Nothing was compared after all. */
  | { readonly _tag: "Withdrawn"; readonly attempt: Attempt }

export type Decision =
  | { readonly _tag: "Allowed"; readonly attempt: Attempt }
  /** In so many milliseconds one is allowed, if nobody else tries; perhaps before. */
  | { readonly _tag: "Throttled"; readonly retryAfter: number }
  | { readonly _tag: "Noted" }

const second = 1_000
const minute = 60 * second
const hour = 60 * minute

/** Of an address. */
export const freeAttempts = 5
const longestWait = 15 * minute
/** Twice as many as make the wait the longest: more need not be told apart, whichever of them succeed in the end. */
const counted = 2 * (freeAttempts + Math.ceil(Math.log2(longestWait / second)))
const forgottenAfter = hour
const maxAddresses = 10_000

/** Of the account. */
const window = 10 * minute
export const freeInWindow = 20
const shortestGap = 5 * second
const longestGap = 30 * second

export const knownFor = 30 * 24 * hour
const maxKnown = 1_000

/** How long an address waits after its latest of so many failures. */
export const waitAfter = (failures: number): number =>
  failures < freeAttempts ? 0 : Math.min(longestWait, second * 2 ** (failures - freeAttempts))

/** What lies between two attempts when so many have failed in ten minutes: 5 seconds, and one more for each, up to 30. */
export const gapAfter = (failures: number): number =>
  failures < freeInWindow ? 0 : Math.min(longestGap, shortestGap + (failures - freeInWindow) * second)

/** What a process begins with when these are the addresses that have logged in, and when. */
export const initial = (known: Iterable<readonly [address: string, at: number]>, now: number): State => ({
  ...empty,
  known: new Map(
    [...known]
      .filter(([, at]) => at + knownFor > now)
      .toSorted(([, a], [, b]) => a - b)
      .slice(-maxKnown)
  )
})

export const decide = (state: State, now: number, input: Input): readonly [Decision, State] => {
  switch (input._tag) {
    case "Begin":
      return begin(state, now, keyOf(input.address))
    case "Succeeded":
      return [{ _tag: "Noted" }, { ...without(state, input.attempt), known: noted(state, now, input.attempt.address) }]
    case "Withdrawn":
      return [{ _tag: "Noted" }, without(state, input.attempt)]
  }
}

/** A refused attempt leaves the state as it is: refusing must cost next to nothing. */
const begin = (state: State, now: number, address: string): readonly [Decision, State] => {
  const own = failuresOf(state, now, address)
  const isKnown = (state.known.get(address) ?? Number.NEGATIVE_INFINITY) + knownFor > now
  const all = isKnown ? state.account : state.account.filter((at) => at + window > now)
  const opensAt = Math.max(after(own, waitAfter, now), isKnown ? now : after(all, gapAfter, now))
  if (opensAt > now) return [{ _tag: "Throttled", retryAfter: opensAt - now }, state]

  const addresses = new Map(state.addresses)
  addresses.delete(address)
  addresses.set(address, [...own, now].slice(-counted))
  for (const oldest of addresses.keys()) {
    if (addresses.size <= maxAddresses) break
    addresses.delete(oldest)
  }
  const account = isKnown ? all : [...all, now]
  return [
    { _tag: "Allowed", attempt: { address, at: now, isKnown } },
    { ...state, addresses, account }
  ]
}

const after = (failures: ReadonlyArray<number>, pause: (failures: number) => number, now: number): number => {
  const wait = pause(failures.length)
  return wait === 0 ? now : (failures.at(-1) ?? now) + wait
}

/** Back to the first hour without one. */
const failuresOf = (state: State, now: number, address: string): ReadonlyArray<number> => {
  const all = state.addresses.get(address) ?? []
  let first = all.length
  let next = now
  for (let i = all.length - 1; i >= 0; i--) {
    const at = all[i] ?? now
    if (at + forgottenAfter <= next) break
    first = i
    next = at
  }
  return all.slice(first)
}

/** As if it had never begun. */
const without = (state: State, { address, at, isKnown }: Attempt): State => {
  const addresses = new Map(state.addresses)
  const own = removed(addresses.get(address) ?? [], at)
  if (own.length === 0) addresses.delete(address)
  else addresses.set(address, own)
  return { ...state, addresses, account: isKnown ? state.account : removed(state.account, at) }
}

const removed = (times: ReadonlyArray<number>, at: number): ReadonlyArray<number> => {
  const i = times.lastIndexOf(at)
  return i < 0 ? times : times.toSpliced(i, 1)
}

const noted = (state: State, now: number, address: string): ReadonlyMap<string, number> => {
  const known = new Map(state.known)
  known.delete(address)
  known.set(address, now)
  for (const oldest of known.keys()) {
    if (known.size <= maxKnown) break
    known.delete(oldest)
  }
  return known
}

/** Whom an address stands for: of IPv6 the first 64 bits, of which anyone has all the rest to choose from. */
export const keyOf = (address: string): string => {
  const plain = (address.split("%")[0] ?? "").toLowerCase()
  if (isIPv4(plain)) return plain
  if (!isIPv6(plain)) return "unknown"
  const groups = groupsOf(plain)
  const isMapped = groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff
  if (isMapped) return [groups[6] ?? 0, groups[7] ?? 0].flatMap((group) => [group >> 8, group & 0xff]).join(".")
  return `${groups
    .slice(0, 4)
    .map((group) => group.toString(16))
    .join(":")}::/64`
}

const groupsOf = (address: string): ReadonlyArray<number> => {
  const [before = "", after] = address.split("::")
  const head = parsed(before)
  if (after === undefined) return head
  const tail = parsed(after)
  return [...head, ...Array.from({ length: 8 - head.length - tail.length }, () => 0), ...tail]
}

const parsed = (part: string): ReadonlyArray<number> =>
  part === ""
    ? []
    : part.split(":").flatMap((group) => {
        if (!group.includes(".")) return [Number.parseInt(group, 16)]
        const [a = 0, b = 0, c = 0, d = 0] = group.split(".").map(Number)
        return [a * 256 + b, c * 256 + d]
      })
