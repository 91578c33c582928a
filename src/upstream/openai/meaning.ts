/** What an upstream's refusal means, whoever asked: one reading of all dialects, its order being the rule. */
import type { ErrorBody } from "./errorBody.ts"
import { meaningOfCode, statusOfName } from "./errorCodes.ts"

export type Meaning =
  /** This key has nothing left. */
  | "quota"
  /** Too many requests, or too many at once. */
  | "rate"
  | "context"
  | "content"
  /** The model is not there, or not for this key. */
  | "model"
  /** There is nothing at this address. */
  | "absent"
  /** The key is not accepted. */
  | "access"
  /** The account is shut out. */
  | "blocked"
  /** The upstream's own trouble, or an edge that lets nobody of us through. */
  | "unavailable"
  /** An error that came as an answer and does not say what it is. */
  | "unknown"
  /** The request is at fault in some other way. */
  | "rejected"

/**
 * `status` is undefined for an error that came in place of an answer and states none. Want of quota is looked for before too
 * many requests, and a 429 that says neither is the latter: to wait a little costs less than to give up a key that is good.
 */
export const meaningOf = (status: number | undefined, body: ErrorBody): Meaning => {
  if (body.isPage) return pageMeaning(status)
  const { codes, words } = body
  const mayBeOurs = status === undefined || (status >= 400 && status < 500)
  // No waiting helps a request that is larger than the limit itself, though it is told as a breach of it.
  if (mayBeOurs && tooLarge.test(words)) return "context"
  for (const code of codes) {
    const meaning = meaningOfCode(code)
    if (meaning !== undefined) return meaning === "quota" && status !== 402 && perMinute.test(words) ? "rate" : meaning
  }
  if (status === 402) return "quota"
  if (mayBeOurs && outOfQuota.test(words)) return perMinute.test(words) ? "rate" : "quota"
  if (status === 429) return "rate"
  if ((status === undefined || status === 403) && tooMany.test(words)) return "rate"
  if ((status === undefined || contextStatuses.has(status)) && context.test(words)) return "context"
  if ((status === undefined || contentStatuses.has(status)) && content.test(words)) return "content"
  return statusMeaning(status, body)
}

/** The HTTP status that an error means which came with a good one: what it states, or what its name is used for. */
export const meantStatus = ({ codes, status }: ErrorBody): number | undefined =>
  status ?? codes.map(statusOfName).find((named) => named !== undefined)

/** The edge before a service knows addresses and no keys; only with the plain statuses does it speak for the service. */
const pageMeaning = (status: number | undefined): Meaning => {
  switch (status) {
    case 401:
      return "access"
    case 402:
      return "quota"
    case 404:
    case 405:
      return "absent"
    case 413:
      return "rejected"
    case 429:
      return "rate"
    default:
      return "unavailable"
  }
}

const statusMeaning = (status: number | undefined, body: ErrorBody): Meaning => {
  const { words } = body
  switch (status) {
    case undefined:
      return "unknown"
    case 401:
      return shutOut.test(words) ? "blocked" : "access"
    case 403:
      if (region.test(words)) return "unavailable"
      if (shutOut.test(words)) return "blocked"
      return permission.test(words) ? "model" : "access"
    case 404:
      return body.isJson && !noSuchPath.test(body.message) ? "model" : "absent"
    case 405:
      return "absent"
    case 408:
      return "unavailable"
    default:
      return status >= 500 || status < 400 ? "unavailable" : "rejected"
  }
}

const contextStatuses = new Set([400, 413, 422, 500])
const contentStatuses = new Set([400, 403, 422, 451])

const tooLarge = /request too large|reduce your message size|input or output tokens must be reduced/i

const outOfQuota =
  /insufficient[\w -]{0,20}(quota|balance|credit|fund)|(quota|balance|credits?|funds?)\b[^.]{0,40}\b(insufficient|too low|not enough|exhausted|used up|expired|depleted)|(out of|no|not enough|run out of|exceeded your)( \w+){0,3} (credits?|balance|quota|funds)\b|exceeded your current quota|(exhausted|used up)[^.]{0,40}\b(quota|credits?|balance)\b|billing (hard )?limit|check your plan and billing|payment required|arrears|arrearage|overdue|free (tier|quota|allocation)[^.]{0,40}(exhausted|used up)|欠费|余额不足|额度(已)?(不足|用尽|用完|耗尽)|请充值/i

/** A quota that refills while one waits is a rate: Gemini's, and what Alibaba calls an allocation. */
const perMinute = /per[ _-]?(minute|second)|\b[rt]p[ms]\b|rate[ _-]?quota|allocat\w+[ _-]?quota|concurren/i

const tooMany =
  /rate[ _-]?limit|too many requests|throttl|concurren|(requests?|[rt]p[ms]) limit|频率|速率|并发|限流|超限/i

const context =
  /context[ _-]?(length|window|size)|maximum (context|input|prompt|sequence)|maximum number of (input )?tokens|too many (input |prompt )?tokens|(input|prompt|request|messages?) (is |are )?too (long|large)|max_seq_len|max_model_len|inputs?.{0,2} (tokens \+|length)|exceeds?( the)?( \w+){0,3} (token|context|length) limit|reduce the length|(输入|上下文|提示词|内容).{0,12}(过长|超长|超出|超过)/i

const content =
  /content[ _-]?(filter|policy|management|moderation|violation)|policy violation|violat\w*[^.]{0,40}(polic|terms|guideline)|moderation|flagged|unsafe|sensitive (content|word|information)|safety (system|filter|polic)|inappropriate content|敏感|违规|不合规|不当内容|审核/i

const shutOut =
  /\b(account|user|organi[sz]ation|project|api key|key)\b[^.]{0,80}\b(disabled|suspended|deactivated|banned|blocked|terminated|locked)\b|\b(disabled|suspended|deactivated|banned|terminated|locked)\b[^.]{0,40}\b(account|user|organi[sz]ation)\b|账[号户].{0,12}(封禁|停用|冻结|锁定|禁用)|用户已被封禁/i

const region = /\b(country|region|territory)\b|地区/i
const permission = /model|permission|not (authorized|allowed|entitled)|does not have access|scope|无权|权限/i

/** What frameworks and proxies say of a path that nobody serves: nothing about a model. */
const noSuchPath =
  /^(not found|no message available)?$|invalid url|cannot post|no (route|handler)|(page|path|url|endpoint)[^.]{0,40}not found/i
