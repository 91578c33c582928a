/** The trace of one request for a model, as it ended: a pure rule. Of bounded size, whatever the request holds. */
import { DateTime } from "effect"
import { nameOf } from "../domain/Provider.ts"
import type { Journey } from "../traffic/journey.ts"
import type { Trace } from "../traffic/trace.ts"
import { short, tracedText } from "../traffic/tracedText.ts"
import type { WireFailure } from "./Errors.ts"

export interface Exchanged extends Pick<Trace, "id" | "why" | "outcome" | "ended" | "took"> {
  readonly beganAt: number
  readonly model: string | undefined
  readonly client: string | undefined
  readonly priority: number | undefined
  readonly journey: Journey
  readonly status: number | undefined
}

export const traceOf = ({ beganAt, client, id, journey, model, priority, status, why, ...ends }: Exchanged): Trace => ({
  id,
  startedAt: DateTime.formatIso(DateTime.makeUnsafe(beganAt)),
  why,
  model: model === undefined ? null : short(model, longestModel),
  client: client === undefined ? null : short(client),
  priority: priority ?? null,
  timeout: journey.timeout ?? null,
  attempts: journey.attempts,
  queuedMs: journey.queuedMs,
  target: journey.target === undefined ? null : short(nameOf(journey.target)),
  ...ends,
  status: status ?? null,
  // A copy: a stream that goes on adds to its own.
  steps: why === "failed" ? [] : [...(journey.steps ?? [])]
})

const longestModel = 200

export const answering = "answering"
export const answered = "answered"
export const left = "the client left"
export const broken = "the server failed to handle the request"

/** Why it was refused or failed, without a word of what was asked. */
export const toldOf = (failure: WireFailure): string => {
  switch (failure._tag) {
    case "BadRequest":
      // Its reason has the value that was wrong.
      return failure.param === null ? failure.reason : `${failure.param} cannot be used`
    case "ModelNotAllowed":
      return "this API key may not ask for the model"
    case "QuotaExhausted":
    case "AccessRejected":
    case "AccountBlocked":
    case "Throttled":
    case "RequestRejected":
    case "UpstreamUnavailable":
    case "NoCapacity":
    case "StoreUnavailable":
    case "SlotRefused":
    case "ModelNotServed":
    case "DeadlineExceeded":
      return tracedText(failure)
    default:
      return short(failure.message)
  }
}
