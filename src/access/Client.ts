/** Who calls, and what they may. */
import type { Duration } from "effect"
import { Schema } from "effect"

/** `inference` asks models, `token` takes and gives tokens, `admin` does all. */
export const Role = Schema.Literals(["inference", "token", "admin"])
export type Role = typeof Role.Type

/** What is known of whoever holds a key. */
export interface Client {
  /** For deduplication, turns in the queue and logs; never a key. */
  readonly name: string
  readonly role: Role
  /** Of its requests when they do not say it, and the most they may ask for: 0 to 9. */
  readonly priority: number | undefined
  /** Of its requests when they do not say it. */
  readonly timeout: Duration.Duration | undefined
  /** The public model names it may ask for; undefined for any. */
  readonly models: ReadonlySet<string> | undefined
  /** Requests in any 60 seconds; undefined for any number. */
  readonly rpm: number | undefined
}

/** The name of all callers of a server without keys. */
export const local = "local"

/** The name of whoever has logged in to the console. */
export const consoleName = "console"

/** Whoever calls a server that needs no key. */
export const nobody: Client = {
  name: local,
  role: "inference",
  priority: undefined,
  timeout: undefined,
  models: undefined,
  rpm: undefined
}
