/** What an upstream is asked on behalf of a request. Pure. */
import { Duration } from "effect"
import type { Redacted } from "effect"
import type { Provider } from "../domain/Provider.ts"
import type { HeldLease } from "../pool/TokenPool.ts"
import type { ModelCall } from "../upstream/ModelClient.ts"
import type { HeldSlot } from "./Governor.ts"
import { type Job, shareOf } from "./job.ts"

/** Whom it is asked of, and with which token. */
export interface Asked {
  readonly slot: HeldSlot
  readonly lease: HeldLease
  readonly provider: Provider
}

export const callOf = (
  job: Job,
  { lease, provider, slot }: Asked,
  access: Redacted.Redacted,
  sent: () => void
): ModelCall => ({
  endpoint: job.request.endpoint,
  body: job.request.body,
  model: slot.target.model,
  publicModel: job.request.model,
  stream: job.request.stream,
  token: { id: lease.id, access },
  timeouts: timeoutsOf(provider, job),
  deadline: job.deadline,
  sent
})

/** A silent target leaves time for another. */
const timeoutsOf = ({ timeouts }: Provider, job: Job) => {
  if (!job.hasAnother) return timeouts
  const half = Duration.millis(shareOf(job))
  return {
    ...timeouts,
    headers: Duration.min(timeouts.headers, half),
    firstToken: Duration.min(timeouts.firstToken, half)
  }
}
