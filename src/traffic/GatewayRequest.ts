/** One request for a model, as the gateway is given it. */
import type { Duration } from "effect"
import type { Endpoint, RequestBody } from "../upstream/ModelClient.ts"
import type { Journey } from "./journey.ts"

export interface GatewayRequest {
  /** Names the request in the log. */
  readonly id: string
  readonly endpoint: Endpoint
  readonly body: RequestBody
  /** The public name of the model. */
  readonly model: string
  readonly stream: boolean
  /** Who asks: clients are served in turns. */
  readonly client: string
  /** 0 to 9, 9 being the most urgent (default 5). */
  readonly priority?: number | undefined
  /** For the request in all, its answer included. Without it, it waits in line no longer than `maxWait`. */
  readonly timeout?: Duration.Duration | undefined
  /** Filled in as it goes, so that it can be told of also when the request fails. */
  readonly journey?: Journey | undefined
}

export const defaultPriority = 5
