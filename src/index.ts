/** What a program that composes the layers imports. */
export { Audit, AuditEntry } from "./access/Audit.ts"
export { type Client, Role } from "./access/Client.ts"
export {
  ClientKeys,
  type ClientKeysOptions,
  type ConfiguredKey,
  KeyNameRefused,
  KeyUnknown,
  type KeyView,
  NewKey,
  type Verdict
} from "./access/ClientKeys.ts"
export { ConsoleAccount, LoginRefused, LoginThrottled, PasswordRefused, type Session } from "./access/ConsoleAccount.ts"
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
export { Answerer, type Asked, type Asking, type Treatment } from "./batch/Answerer.ts"
export { BatchFileUnusable } from "./batch/answerFile.ts"
export {
  Batch,
  type BatchCounts,
  type BatchFailure,
  type BatchFiles,
  type BatchJob,
  type BatchProgress,
  type BatchSummary,
  type RunningBatch
} from "./batch/Batch.ts"
export { FileLock, FileLocked } from "./batch/FileLock.ts"
export type { Question } from "./batch/requestLine.ts"
export * as ServerAnswerer from "./batch/serverAnswerer.ts"
export * as Broker from "./Broker.ts"
export { ChatEvent, ChatRequest, type Usage } from "./domain/Chat.ts"
export * from "./domain/Failure.ts"
export {
  type Download,
  Drive,
  type DriveFailure,
  type DriveOptions,
  type DriveRequest,
  type Listing,
  PathUnknown
} from "./drive/Drive.ts"
export { CheckResult, type HealthCheckOptions, HealthChecks } from "./health/HealthChecks.ts"
export { type Check, TokenChecker } from "./health/TokenChecker.ts"
export type {
  Limit,
  Limits as ProviderLimits,
  OpenAiProvider,
  Provider,
  ProviderKey,
  Route,
  Target,
  Timeouts,
  WarpProvider
} from "./domain/Provider.ts"
export { type Credential, type QuotaReport, TokenId, TokenKind } from "./domain/Token.ts"
export {
  LeaseUnknown,
  type ManagedToken,
  type ManagerOptions,
  type NewManagedToken,
  ProviderUnknown,
  type RemoteLease,
  type Report,
  ReportedOutcome,
  TokenHeld,
  TokenManager,
  TokenNotHeld,
  type WhichToken
} from "./manager/TokenManager.ts"
export * as TokensFile from "./manager/tokensFile.ts"
export {
  type Alert,
  AlertEvent,
  Alerts,
  type AlertsOptions,
  type Rule as AlertRule,
  alertRules,
  type Webhook,
  webhookSignature
} from "./monitoring/Alerts.ts"
export { Renewer } from "./pool/Renewer.ts"
export {
  type Clash,
  type HeldLease,
  type Lease,
  type LeaseRequest,
  type Newcomer,
  NoTokenUsable,
  type PoolOptions,
  type Settled,
  type Strategy,
  TokenPool,
  TokensClash,
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
export { type Backend, fromBackend, type Texts } from "./store/backend.ts"
export {
  type Behind,
  type Change,
  type Collection,
  type Journal,
  type Page,
  type PageQuery,
  type Records,
  Store,
  StoreUnavailable
} from "./store/Store.ts"
export { MasterKeyInvalid, Sealed, Vault, VaultLocked } from "./store/Vault.ts"
export { Catalog, type Offer } from "./traffic/Catalog.ts"
export { Gateway, type GatewayOptions, type GatewayStatistics } from "./traffic/Gateway.ts"
export { DeadlineExceeded, type GatewayFailure, ModelNotServed } from "./traffic/GatewayFailure.ts"
export type { GatewayRequest } from "./traffic/GatewayRequest.ts"
export {
  Governor,
  type GovernorOptions,
  type ProviderStanding,
  type Slot,
  type SlotOutcome,
  SlotRefused,
  type SlotRequest
} from "./traffic/Governor.ts"
export type { Journey } from "./traffic/journey.ts"
export type { Trace } from "./traffic/trace.ts"
export { NoCapacity } from "./traffic/lend.ts"
export { ModelClients } from "./traffic/ModelClients.ts"
export { Traces, type TracesOptions } from "./traffic/Traces.ts"
export { QuotaWatch } from "./traffic/QuotaWatch.ts"
export type {
  Answer,
  Endpoint,
  ModelCall,
  ModelClient,
  RequestBody,
  StreamedAnswer,
  WholeAnswer
} from "./upstream/ModelClient.ts"
export { OpenAiClient } from "./upstream/OpenAiClient.ts"
export { WarpClient, type WarpOptions } from "./upstream/WarpClient.ts"
export {
  rootFolder,
  WopanClient,
  type WopanEntry,
  type WopanFailure,
  WopanMisconfigured,
  type WopanOptions,
  type WopanPage,
  type WopanToken
} from "./upstream/WopanClient.ts"
