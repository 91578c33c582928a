/** What a program that composes the layers imports. */
export {
  Acquisition,
  AcquisitionDenied,
  type AcquiredToken,
  type AcquisitionOptions,
  type AcquisitionRequest,
  type Decision,
  type Step
} from "./acquisition/Acquisition.ts"
export { Cache, type CacheKey, type CacheOptions, type CacheStatistics } from "./acquisition/Cache.ts"
export { Dedup, type DedupOptions, type DedupStatistics } from "./acquisition/Dedup.ts"
export {
  type Level,
  type Observation,
  type Prediction,
  Predictor,
  type PredictorScore
} from "./acquisition/Predictor.ts"
export {
  AcquisitionLimited,
  type Limits,
  LimitsInvalid,
  type LimiterStatistics,
  type Preset,
  presets,
  RateLimiter,
  type RateLimiterOptions,
  type Reservation
} from "./acquisition/RateLimiter.ts"
export * as Broker from "./Broker.ts"
export { ChatEvent, ChatRequest, type Usage } from "./domain/Chat.ts"
export * from "./domain/Failure.ts"
export { type Credential, type QuotaReport, TokenId, TokenKind } from "./domain/Token.ts"
export { Renewer } from "./pool/Renewer.ts"
export {
  type Lease,
  type LeaseRequest,
  NoTokenUsable,
  type PoolOptions,
  type Strategy,
  TokenPool,
  TokenUnknown
} from "./pool/TokenPool.ts"
export type { Outcome, TokenRecord, TokenState, TokenView } from "./pool/tokenState.ts"
export {
  Sandbox,
  SandboxAddressInUse,
  SandboxNotListening,
  type SandboxOptions,
  SandboxUnreachable
} from "./sandbox/Sandbox.ts"
export * as Sqlite from "./store/Sqlite.ts"
export {
  type Backend,
  type Change,
  type Collection,
  fromBackend,
  type Journal,
  Store,
  StoreUnavailable
} from "./store/Store.ts"
export { MasterKeyInvalid, Sealed, Vault, VaultLocked } from "./store/Vault.ts"
export {
  type Completion,
  type CompletionFailure,
  Completions,
  type CompletionStatistics,
  NoCapacity
} from "./traffic/Completions.ts"
export { QuotaWatch } from "./traffic/QuotaWatch.ts"
export { WarpClient, type WarpOptions } from "./upstream/WarpClient.ts"
