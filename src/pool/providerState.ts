/** A limit above the tokens: the whole provider is left alone, whichever token would be spent. */
import { Schema } from "effect"
import type { Fold } from "../store/Replicas.ts"
import * as Backoff from "./backoff.ts"
import { Claim, isFree, withoutClaim } from "./claim.ts"
import type { Standing } from "./tokenState.ts"

/** A provider as it is stored: only one that was found limited is. */
export const ProviderRecord = Schema.Struct({
  cooling: Schema.optionalKey(
    Schema.Struct({
      until: Schema.Finite,
      source: Schema.Literals(["stated", "guessed"]),
      /** Which limit it is: the same answer to another token is no fault of that token either. */
      signature: Schema.String
    })
  ),
  relapses: Schema.Int,
  probe: Schema.optionalKey(Claim)
})
export type ProviderRecord = typeof ProviderRecord.Type

export type ProviderEvent =
  /** The limit was inferred, or met again. */
  | { readonly _tag: "Limited"; readonly signature: string; readonly until?: number; readonly probe?: string }
  /** A call has succeeded. */
  | { readonly _tag: "Served" }
  | { readonly _tag: "ProbeClaimed"; readonly claim: Claim }
  | { readonly _tag: "ProbeReleased"; readonly by: string }

export const fold: Fold<ProviderRecord, ProviderEvent> = (stored, now, event) => {
  const record = stored ?? { relapses: 0 }
  switch (event._tag) {
    case "Limited":
      return limited(withoutClaim(record, "probe", event.probe), now, event, event.probe !== undefined)
    case "Served":
      // A call that was under way before the limit was met says nothing about it.
      return providerStanding(stored, now) === "out" ? stored : undefined
    case "ProbeClaimed":
      return isFree(record.probe, event.claim.by, now) && providerStanding(stored, now) === "due"
        ? { ...record, probe: event.claim }
        : stored
    case "ProbeReleased":
      return stored && withoutClaim(stored, "probe", event.by)
  }
}

export const providerStanding = (record: ProviderRecord | undefined, now: number): Standing => {
  const cooling = record?.cooling
  if (cooling === undefined) return "ready"
  return now < cooling.until ? "out" : cooling.source === "stated" ? "ready" : "due"
}

const limited = (
  record: ProviderRecord,
  now: number,
  event: ProviderEvent & { _tag: "Limited" },
  probe: boolean
): ProviderRecord => {
  const standing = providerStanding(record, now)
  const fresh = standing === "ready" || (probe && standing === "due")
  const stated = event.until === undefined ? undefined : Backoff.statedEnd(now, event.until)
  const relapses = stated === undefined && fresh ? record.relapses + 1 : record.relapses
  const end = stated ?? { until: now + Backoff.gap(Backoff.trouble, relapses - 1), source: "guessed" as const }
  const before = record.cooling
  return {
    ...record,
    relapses,
    cooling: {
      ...(before !== undefined && before.until > end.until ? { until: before.until, source: before.source } : end),
      signature: event.signature
    }
  }
}
