/** What a person is told of. */

export const rules = [
  /** More attempts to acquire a token within an hour than is usual. */
  "acquisition_rate",
  /** The hour or the day has no place left for an attempt. */
  "acquisition_budget",
  /** Tokens are held, and none of them can be used. */
  "tokens_unusable",
  /** Nothing can be sent to it. */
  "provider_down",
  /** All that is usable is predicted to be used up soon. */
  "quota_ending"
] as const
export type Rule = (typeof rules)[number]
