/** The gauges whose values are read when `/metrics` is asked for. */
import { Metric } from "effect"

export const gauges = {
  circuit: Metric.gauge("weirgate_circuit_state", {
    description: "Circuit of a target: 0 closed, 1 returning, 2 half open, 3 open; by provider and model"
  }),
  limit: Metric.gauge("weirgate_provider_limit", {
    description: "What a provider takes: calls at once (concurrency), calls (rpm) and model tokens (tpm) in any minute"
  }),
  use: Metric.gauge("weirgate_provider_use", {
    description: "How much of each limit is used now, also where there is none"
  }),
  learned: Metric.gauge("weirgate_provider_limit_learned", {
    description: "1 for a limit that is learned, 0 for one that the configuration states"
  }),
  held: Metric.gauge("weirgate_provider_held_seconds", {
    description:
      "For how long nothing is sent to the provider, because it asks for that or none of its tokens can be used"
  }),
  waiting: Metric.gauge("weirgate_requests_waiting", {
    description: "Requests that wait in line, each counted once"
  }),
  oldestWait: Metric.gauge("weirgate_requests_oldest_wait_seconds", {
    description: "How long the request has waited that has waited longest"
  }),
  underWay: Metric.gauge("weirgate_requests_under_way", {
    description: "Requests for models that are not told all of their answer yet"
  }),
  streaming: Metric.gauge("weirgate_requests_streaming", {
    description: "Requests whose answers are being streamed"
  }),
  budgetUsed: Metric.gauge("weirgate_acquisition_budget_used", {
    description: "Attempts to acquire a token in the last hour and day"
  }),
  budgetLimit: Metric.gauge("weirgate_acquisition_budget_limit", {
    description: "Attempts to acquire a token that any hour and day may hold"
  }),
  nextAttempt: Metric.gauge("weirgate_acquisition_next_seconds", {
    description: "Until the budget allows an attempt; 0 when it does"
  }),
  usable: Metric.gauge("weirgate_tokens_usable", {
    description: "Tokens that can be lent now, by provider"
  }),
  predicted: Metric.gauge("weirgate_tokens_predicted", {
    description: "Usable tokens by what is predicted to be left of their quota, by provider and level"
  }),
  confidence: Metric.gauge("weirgate_prediction_confidence", {
    description: "Mean confidence of these predictions, 0 to 1, by provider"
  })
} as const

export type GaugeName = keyof typeof gauges
