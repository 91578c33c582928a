/** What a token may look like, wherever one comes in. */
import { Schema } from "effect"

/** Short enough for a header, and of what a header can carry. Every failure leaves out the text itself. */
export const TokenSecret = Schema.String.check(
  Schema.isPattern(/^[\x21-\x7e]{1,8192}$/u, {
    expected: "1 to 8192 printable ASCII characters without spaces"
  })
)

export const RedactedTokenSecret = Schema.RedactedFromValue(TokenSecret)
