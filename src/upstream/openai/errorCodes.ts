/** What the codes and types mean that servers of the field give their errors. In lower case; where two clash, see `errorBody`. */
import type { Meaning } from "./meaning.ts"

type Codes = Readonly<Record<string, Meaning>>

/** Also of those who have taken them over: Groq, DeepSeek, Moonshot, relays of the one-api family. */
const openai: Codes = {
  insufficient_quota: "quota",
  insufficient_user_quota: "quota",
  pre_consume_token_quota_failed: "quota",
  exceeded_current_quota_error: "quota",
  insufficient_balance: "quota",
  credit_limit: "quota",
  billing_hard_limit_reached: "quota",
  billing_not_active: "quota",
  rate_limit_exceeded: "rate",
  rate_limit_reached_error: "rate",
  too_many_requests: "rate",
  rate_limited: "rate",
  engine_overloaded_error: "unavailable",
  context_length_exceeded: "context",
  context_window_exceeded: "context",
  content_filter: "content",
  content_policy_violation: "content",
  model_not_found: "model",
  invalid_api_key: "access",
  account_deactivated: "blocked",
  unsupported_country_region_territory: "unavailable"
}

const anthropic: Codes = { rate_limit_error: "rate", overloaded_error: "unavailable" }

const llamaCpp: Codes = { exceed_context_size_error: "context" }

const azure: Codes = { responsibleaipolicyviolation: "content", deploymentnotfound: "model" }

/** https://docs.z.ai/api-reference/api-code */
const zhipu: Codes = {
  1000: "access",
  1001: "access",
  1002: "access",
  1003: "access",
  1004: "access",
  1110: "blocked",
  1111: "blocked",
  1112: "blocked",
  1113: "quota",
  1120: "unavailable",
  1121: "blocked",
  1200: "unavailable",
  1211: "model",
  1220: "model",
  1230: "unavailable",
  1234: "unavailable",
  1261: "context",
  1300: "content",
  1301: "content",
  1302: "rate",
  1303: "rate",
  1304: "quota",
  1305: "rate",
  1308: "quota",
  1309: "quota",
  1310: "quota",
  1311: "model"
}

const siliconFlow: Codes = {
  20012: "model",
  30001: "quota",
  50501: "unavailable",
  50505: "unavailable",
  50603: "unavailable"
}

const hunyuan: Codes = {
  limitexceeded: "rate",
  requestlimitexceeded: "rate",
  "failedoperation.engineserverlimitexceeded": "rate",
  "failedoperation.resourcepackexhausted": "quota",
  "failedoperation.freeresourcepackexhausted": "quota",
  "failedoperation.servicestoparrears": "quota",
  "failedoperation.enginerequesttimeout": "unavailable",
  "failedoperation.engineservererror": "unavailable",
  "operationdenied.textillegaldetected": "content",
  "operationdenied.imageillegaldetected": "content",
  "invalidparametervalue.model": "model"
}

/** Alibaba's and Volcengine's. */
const others: Codes = {
  arrearage: "quota",
  data_inspection_failed: "content",
  accountoverdueerror: "quota",
  sensitivecontentdetected: "content",
  modelnotopen: "model",
  "invalidendpointormodel.notfound": "model"
}

const minimax: Codes = {
  "minimax 1002": "rate",
  "minimax 1004": "access",
  "minimax 1008": "quota",
  "minimax 1026": "content",
  "minimax 1027": "content",
  "minimax 1039": "rate"
}

const known: ReadonlyMap<string, Meaning> = new Map(
  [openai, anthropic, llamaCpp, azure, zhipu, siliconFlow, hunyuan, others, minimax].flatMap(Object.entries<Meaning>)
)

export const meaningOfCode = (code: string): Meaning | undefined => known.get(code) ?? familyOf(code)

const familyOf = (code: string): Meaning | undefined => {
  if (code.startsWith("authfailure")) return "access"
  return code.startsWith("throttling") || code.startsWith("ratelimitexceeded") ? "rate" : undefined
}

/**
 * The HTTP status that is meant by the name of an error which came with a good one: OpenAI's and Anthropic's names, vLLM's,
 * and those of gRPC that Google's services have kept.
 */
export const statusOfName = (name: string): number | undefined =>
  Object.hasOwn(statuses, name) ? statuses[name] : undefined

const statuses: Readonly<Record<string, number>> = {
  invalid_request_error: 400,
  badrequesterror: 400,
  invalid_argument: 400,
  authentication_error: 401,
  unauthenticated: 401,
  permission_error: 403,
  permission_denied: 403,
  not_found_error: 404,
  notfounderror: 404,
  rate_limit_error: 429,
  resource_exhausted: 429,
  server_error: 500,
  internal_server_error: 500,
  internal_error: 500,
  api_error: 500,
  internal: 500,
  overloaded_error: 503,
  unavailable: 503,
  unavailable_error: 503,
  service_unavailable: 503,
  timeout_error: 504,
  deadline_exceeded: 504
}
