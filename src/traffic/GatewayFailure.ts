/** How a model request fails when no target and no token that was left could mend it. */
import { Duration, Schema } from "effect"
import type { CallFailure } from "../domain/Failure.ts"
import type { StoreUnavailable } from "../store/Store.ts"
import type { SlotRefused } from "./Governor.ts"
import type { NoCapacity } from "./lend.ts"

/** Nobody offers that model, or none who does has that endpoint. */
export class ModelNotServed extends Schema.TaggedError<ModelNotServed>()("ModelNotServed", {
  model: Schema.String,
  /** The endpoint that is missing; absent when the model is. */
  endpoint: Schema.optionalKey(Schema.String)
}) {
  override get message() {
    return this.endpoint === undefined
      ? `the model ${JSON.stringify(this.model)} is not served here; GET /v1/models lists those that are`
      : `the model ${JSON.stringify(this.model)} is served here, but not at /v1${this.endpoint}`
  }
}

/** The request's whole time is over. */
export class DeadlineExceeded extends Schema.TaggedError<DeadlineExceeded>()("DeadlineExceeded", {
  timeout: Schema.DurationFromMillis,
  detail: Schema.String
}) {
  override get message() {
    return `no answer within ${Duration.format(this.timeout)}: ${this.detail}`
  }
}

export type GatewayFailure =
  | CallFailure
  | NoCapacity
  | StoreUnavailable
  | SlotRefused
  | ModelNotServed
  | DeadlineExceeded
