/** What is wrong with a request before anything is done for it: with what it says, with who asks, and from where. */
import { Schema } from "effect"
import { Role } from "../access/Client.ts"

/** What the caller sent cannot be used; `param` is the path of the field. */
export class BadRequest extends Schema.TaggedError<BadRequest>()("BadRequest", {
  param: Schema.NullOr(Schema.String),
  reason: Schema.String,
  status: Schema.Literals([400, 413, 415])
}) {
  override get message() {
    return this.param === null ? this.reason : `${this.param}: ${this.reason}`
  }
}

export class Unauthorized extends Schema.TaggedError<Unauthorized>()("Unauthorized", {
  why: Schema.Literals(["missing", "unknown", "expired", "revoked"])
}) {
  override get message() {
    switch (this.why) {
      case "expired":
      case "revoked":
        return `this API key ${this.why === "expired" ? "has expired" : "was revoked"}`
      case "missing":
      case "unknown":
        return "a valid API key is needed: send it as “Authorization: Bearer …”"
    }
  }
}

/** Whoever asks is known, and may not. */
export class Forbidden extends Schema.TaggedError<Forbidden>()("Forbidden", {
  role: Role,
  needed: Schema.Array(Role)
}) {
  override get message() {
    return `a key of role ${this.role} may not do this: it takes ${this.needed.join(" or ")}`
  }
}

/** A change was asked for in a browser, and not by our own page. */
export class CrossSite extends Schema.TaggedError<CrossSite>()("CrossSite", {
  reason: Schema.Literals(["origin", "token"])
}) {
  override get message() {
    return this.reason === "origin"
      ? "this was asked by a page of another site"
      : "x-csrf-token: send what the session was told"
  }
}

/** The key has had as many requests as it may in a minute. */
export class KeyRateLimited extends Schema.TaggedError<KeyRateLimited>()("KeyRateLimited", {
  retryAfter: Schema.DurationFromMillis
}) {
  override get message() {
    return "this API key has had all the requests it may make in a minute"
  }
}

/** The model may exist, but not for this key. */
export class ModelNotAllowed extends Schema.TaggedError<ModelNotAllowed>()("ModelNotAllowed", {
  model: Schema.String
}) {
  override get message() {
    return `this API key may not ask for the model ${this.model}`
  }
}

/** The `Host` header names a machine that is not this one (DNS rebinding). */
export class ForeignHost extends Schema.TaggedError<ForeignHost>()("ForeignHost", {}) {
  override get message() {
    return "this server answers only to local host names while it has no API keys"
  }
}

export class NotFound extends Schema.TaggedError<NotFound>()("NotFound", {
  method: Schema.String,
  path: Schema.String
}) {
  override get message() {
    return `there is nothing at ${this.method} ${this.path}`
  }
}

/** The server is going, and has waited for this request as long as it may. */
export class ShuttingDown extends Schema.TaggedError<ShuttingDown>()("ShuttingDown", {}) {
  override get message() {
    return "the server is shutting down"
  }
}

/** No token can be lent to a program outside now; D4's clients are told 404. */
export class NothingToLend extends Schema.TaggedError<NothingToLend>()("NothingToLend", {
  reason: Schema.String,
  retryAfter: Schema.optionalKey(Schema.DurationFromMillis)
}) {
  override get message() {
    return this.reason
  }
}
