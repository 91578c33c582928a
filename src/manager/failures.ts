/** Why the token manager refuses. */
import { Schema } from "effect"

/** No token of the provider is that one. */
export class TokenNotHeld extends Schema.TaggedError<TokenNotHeld>()("TokenNotHeld", {}) {
  override get message() {
    return "there is no such token"
  }
}

/** The pool holds it already, or another of that name. */
export class TokenHeld extends Schema.TaggedError<TokenHeld>()("TokenHeld", {
  name: Schema.String,
  by: Schema.Literals(["token", "name"]),
  /** Which of several that were added at once, from 0. */
  index: Schema.optionalKey(Schema.Int)
}) {
  override get message() {
    return this.by === "token"
      ? `the token is held already, as ${this.name}`
      : `another token is named ${this.name} already`
  }
}

/** The lease was never given, has been reported, or has run out. */
export class LeaseUnknown extends Schema.TaggedError<LeaseUnknown>()("LeaseUnknown", {
  reason: Schema.Literals(["unknown", "reported", "expired", "none"])
}) {
  override get message() {
    switch (this.reason) {
      case "unknown":
        return "lease: it is none of ours"
      case "reported":
        return "lease: it has been reported already"
      case "expired":
        return "lease: it has run out"
      case "none":
        return "token: it is not lent to you; name the lease that the report belongs to"
    }
  }
}

/** No upstream of that name is configured. */
export class ProviderUnknown extends Schema.TaggedError<ProviderUnknown>()("ProviderUnknown", {
  provider: Schema.String,
  known: Schema.Array(Schema.String)
}) {
  override get message() {
    return `provider: there is no ${this.provider}; there are ${this.known.join(", ")}`
  }
}
