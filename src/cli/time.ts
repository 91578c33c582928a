/** Times as a person at a terminal reads them. */
import { DateTime, Duration } from "effect"

export const ago = (millis: number) => `${span(millis)} ago`

/** To the second, and to the two largest units. */
export const span = (millis: number) =>
  Duration.format(Duration.seconds(Math.max(1, Math.ceil(millis / 1000))))
    .split(" ")
    .slice(0, 2)
    .join(" ")

/** To the second, in UTC. */
export const timeOf = (at: number) => DateTime.formatIso(DateTime.makeUnsafe(at)).slice(0, 19).replace("T", " ")

/** Behind the state that lasts as long. */
export const until = (at: number | undefined, now: number) =>
  at === undefined ? "" : at <= now ? " (to be probed)" : ` (for ${span(at - now)})`
