/** The keys that clients show: those of the configuration, and those that are made here, which are stored as digests only. */
import { Context, Schema } from "effect"
import type { Effect, Redacted } from "effect"
import type { StoreUnavailable } from "../store/Store.ts"
import type { Client, Role } from "./Client.ts"

/** A live key has that name already, or the name is not one that may be given. */
export class KeyNameRefused extends Schema.TaggedError<KeyNameRefused>()("KeyNameRefused", {
  name: Schema.String,
  reason: Schema.Literals(["taken", "malformed"])
}) {
  override get message() {
    return this.reason === "taken"
      ? `there is a key named ${this.name} already`
      : "name: expected at most 64 letters, digits, dots, dashes, underscores and @, and not key-N, local, console or weirgate"
  }
}

export class KeyUnknown extends Schema.TaggedError<KeyUnknown>()("KeyUnknown", { key: Schema.String }) {
  override get message() {
    return `there is no key ${this.key}`
  }
}

export interface NewKey {
  readonly name: string
  readonly role: Role
  /** 0 to 9. */
  readonly priority?: number | undefined
  /** Requests in any 60 seconds, at least 1. */
  readonly rpm?: number | undefined
  /** Public model names; at least one, or undefined for any. */
  readonly models?: ReadonlyArray<string> | undefined
  /** Epoch milliseconds. */
  readonly expiresAt?: number | undefined
}

/** What a person may see of a key. */
export interface KeyView extends NewKey {
  /** The public part of the key, by which it is told from others: `wg-` and eight letters. */
  readonly id: string
  readonly createdAt: number | undefined
  readonly revokedAt: number | undefined
  readonly lastUsedAt: number | undefined
  readonly state: "live" | "expired" | "revoked"
  /** A key of the configuration is changed there. */
  readonly source: "configuration" | "made"
}

export type Verdict =
  | { readonly _tag: "Admitted"; readonly client: Client; readonly keyId: string }
  | { readonly _tag: "Refused"; readonly why: "missing" | "unknown" | "expired" | "revoked" }

export class ClientKeys extends Context.Service<
  ClientKeys,
  {
    /** Whether there is no live key at all: then models may be asked without one, from this machine. Never waits. */
    readonly isOpen: () => boolean
    /** Whose the key is, as far as this process knows. Compares digests in constant time. Never waits. */
    readonly judge: (key: string) => Verdict
    /** The same after a look into the store, for a key that another process may just have made. */
    judgeAfresh(key: string): Effect.Effect<Verdict>
    /** Counts a request of the key. Milliseconds until the next may come when its minute is full; then it is not counted. Never waits. */
    readonly spend: (admitted: Verdict & { _tag: "Admitted" }) => number | undefined
    /** The key is told here and never again. Durable when it returns; other processes know it within a second. */
    create(
      key: NewKey
    ): Effect.Effect<{ readonly key: Redacted.Redacted; readonly view: KeyView }, KeyNameRefused | StoreUnavailable>
    /** By id or name. Durable when it returns; other processes refuse it within a second. */
    revoke(idOrName: string): Effect.Effect<KeyView, KeyUnknown | StoreUnavailable>
    /** Newest first; those of the configuration last. */
    readonly list: Effect.Effect<ReadonlyArray<KeyView>>
  }
>()("weirgate/access/ClientKeys") {}
