/** What those in line wait for, in words: from what the governor says of its providers. Pure. */
import { Duration } from "effect"
import { nameOf } from "../domain/Provider.ts"
import type { ProviderStanding } from "../traffic/Governor.ts"
import { isInOrder } from "./width.ts"

/** One phrase for all providers of which the same is to be said, in their order; nothing of those that are free. */
export const waitsFor = (standings: ReadonlyArray<ProviderStanding>, now: number): ReadonlyArray<string> => {
  const namesOf = new Map<string, Array<string>>()
  const say = (name: string, what: string) => {
    const names = namesOf.get(what)
    if (names === undefined) namesOf.set(what, [name])
    else names.push(name)
  }
  for (const standing of standings) {
    const what = hindranceOf(standing, now)
    if (what !== undefined) say(standing.name, what)
    else
      for (const { model, until } of outOfOrder(standing))
        say(nameOf({ provider: standing.name, model }), outUntil(until, now))
  }
  const phrases = [...namesOf].map(([what, names]) => `${names.join(", ")}: ${names.length > 1 ? plural(what) : what}`)
  return standings.length > 0 && !standings.some((standing) => isInOrder(standing, now))
    ? [`every provider is ${whatOf(standings)}, and asked again as soon as one returns`, ...phrases]
    : phrases
}

const hindranceOf = (standing: ProviderStanding, now: number): string | undefined => {
  const { allowed, heldUntil, inUse, lastMinute, paused, targets, waiting } = standing
  if (paused) return "paused"
  if (heldUntil !== undefined && heldUntil > now) return `no key can be used for ${lengthOf(heldUntil - now)}`
  if (!isInOrder(standing, now)) {
    const until = targets.reduce<number | undefined>(
      (first, target) => (first === undefined || (target.until ?? first) < first ? target.until : first),
      undefined
    )
    return outUntil(until, now)
  }
  // It may be full and none of theirs.
  if (waiting === 0) return undefined
  if (allowed.rpm !== "unlimited" && lastMinute >= allowed.rpm) {
    return `its minute is full (${lastMinute} of ${allowed.rpm})`
  }
  return allowed.concurrency !== "unlimited" && inUse >= allowed.concurrency
    ? `${inUse} of ${allowed.concurrency} at work`
    : undefined
}

const whatOf = (standings: ReadonlyArray<ProviderStanding>) =>
  standings.some(({ paused }) => paused) ? "paused or out of order" : "out of order"

const outOfOrder = ({ targets }: ProviderStanding) => targets.filter(({ circuit }) => circuit === "open")

const outUntil = (until: number | undefined, now: number) =>
  until === undefined || until <= now ? "out of order" : `out of order, tried again in ${lengthOf(until - now)}`

const plural = (what: string) => what.replace(/^its minute is/, "their minute is").replace(/at work$/, "at work each")

const lengthOf = (millis: number) => Duration.format(Duration.seconds(Math.ceil(millis / 1_000)))
