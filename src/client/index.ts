/**
 * A typed client of a running Weirgate, derived from its contract. It imports nothing of the server, and runs in Node and in
 * browsers. Fields have the names of the wire (`lease_expires_at`), so that the documentation, `curl` and this library agree;
 * of an answer's frame (`code`, `success`, and around a token's answer `data`) only what is in it is given.
 *
 * With promises, where secrets are plain strings:
 *
 * ```ts
 * import { connect, TokenFault } from "weirgate/client"
 *
 * await using weirgate = connect({ baseUrl: "http://127.0.0.1:28889", apiKey: process.env["WEIRGATE_API_KEY"] ?? "" })
 * const status = await weirgate.withToken("best", async ({ token }, { signal }) => {
 *   const answer = await fetch("http://127.0.0.1:9000/", { headers: { authorization: `Bearer ${token}` }, signal })
 *   if (answer.status === 401) throw new TokenFault({ outcome: "unauthorized" })
 *   return answer.status
 * })
 * ```
 *
 * With Effect, where they are `Redacted`:
 *
 * ```ts
 * import { Effect, Redacted } from "effect"
 * import { WeirgateClient } from "weirgate/client"
 *
 * const program = Effect.gen(function* () {
 *   const weirgate = yield* WeirgateClient
 *   return yield* weirgate.withToken({ strategy: "best", provider: "wopan" }, ({ token }) =>
 *     Effect.succeed(Redacted.value(token).length)
 *   )
 * }).pipe(Effect.provide(WeirgateClient.layerFetch({ baseUrl: "http://127.0.0.1:28889", apiKey: Redacted.make("wg-…") })))
 * ```
 */
export type { DriveCalls, ReportAnswer, TokenCalls } from "./calls.ts"
export { type CallOptions, connect, type ConnectOptions, type Weirgate } from "./connect.ts"
export type { LendingOptions, WithToken } from "./lending.ts"
export type { ClientOptions, Timing } from "./options.ts"
export { TokenFault, type Verdict } from "./outcome.ts"
export type {
  DownloadAddress,
  DriveFile,
  FilesAnswer,
  FoldersAnswer,
  LentToken,
  Listed,
  NewToken,
  Outcome,
  PlainDownloadAddress,
  PlainLentToken,
  PlainNewToken,
  PlainReport,
  PlainWhichToken,
  Report,
  Statistics,
  Strategy,
  TokenAnswer,
  TokenStatistics,
  Which,
  WhichToken
} from "./shapes.ts"
export { WeirgateClient } from "./WeirgateClient.ts"
export {
  BadRequest,
  Conflict,
  Forbidden,
  Limited,
  NotFound,
  NoToken,
  type Reason,
  TokenHeld,
  Unauthorized,
  Unavailable,
  Unintelligible,
  WeirgateError
} from "./WeirgateError.ts"
