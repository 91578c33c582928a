/** What a step comes to while the store is away. */
import type { StoreUnavailable } from "../store/Store.ts"
import type { Step, Verdict } from "./decision.ts"

/** Without the store nothing can be decided safely, so nothing is granted. */
export const storeFailed =
  (step: Step) =>
  (error: StoreUnavailable): Verdict => ({ step, answer: "denied", reason: error.message, inputs: {}, undecided: true })
