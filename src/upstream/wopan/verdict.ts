/** Reads an answer of the dispatcher, or of what stands before it, that is no success. Pure. */
import type { UpstreamUnavailable } from "../../domain/Failure.ts"
import { shownText } from "../shownText.ts"
import type { Answer } from "../transport.ts"
import { envelopeOf, ok } from "./envelope.ts"

/** What the answer says, whoever asked. */
export type Verdict =
  | { readonly _tag: "TooMany"; readonly signature: string }
  | { readonly _tag: "Unauthorized"; readonly reason: string }
  | { readonly _tag: "Blocked"; readonly reason: string }
  /** Nothing but another login helps: the account's own, with its password, a captcha or a code by message. */
  | { readonly _tag: "LoginNeeded"; readonly code: string; readonly reason: string }
  | { readonly _tag: "ParameterRefused"; readonly reason: string }
  /** It could not read what was encrypted for it. */
  | { readonly _tag: "NotDecrypted" }
  | { readonly _tag: "Failed"; readonly reason: UpstreamUnavailable["reason"]; readonly detail: string }

/** The words are shown without the given secrets, should the upstream quote what it was sent. */
export const verdictOf = (answer: Answer, secrets: ReadonlyArray<string>): Verdict => {
  const { status } = answer
  if (status === 408) return { _tag: "Failed", reason: "timeout", detail: "it gave up waiting for the request" }
  if (status >= 500 || (status >= 300 && status < 400)) return byStatus(status)
  const envelope = envelopeOf(answer.body)
  const code = envelope?.code === ok ? undefined : envelope?.code
  if (status === 429) return tooMany(answer, code)

  const words = shownText(without(envelope?.description, secrets))
  const said = code === undefined ? words : words === undefined ? `code ${code}` : `code ${code}: ${words}`
  if (code !== undefined && status !== 403) return byCode(code, said ?? code)
  switch (status) {
    case 401:
      return { _tag: "Unauthorized", reason: said ?? "status 401" }
    case 403:
      // It knows a token that ended by a code. Else only its own word that the account is shut out costs the account: a
      // page comes from the edge before it, which knows addresses and no accounts.
      if (code !== undefined && expired.has(code)) return { _tag: "Unauthorized", reason: said ?? code }
      return words !== undefined && blocked.test(words)
        ? { _tag: "Blocked", reason: said ?? words }
        : tooMany(answer, code)
    default:
      if (status >= 300) return byStatus(status)
      return {
        _tag: "Failed",
        reason: "malformed",
        detail:
          envelope === undefined
            ? "its answer is not an envelope of the dispatcher"
            : envelope.code === ok
              ? "its answer does not hold what was asked for"
              : `its answer holds no code${words === undefined ? "" : `: ${words}`}`
      }
  }
}

/** Said of a token that has ended; the first also of parameters that it does not like, which cannot be told apart. */
const expired = new Set(["9999", "1001"])
const loginNeeded = new Set(["8001", "8005", "6006", "6007", "6008"])

const byCode = (code: string, said: string): Verdict => {
  if (expired.has(code)) return { _tag: "Unauthorized", reason: said }
  if (loginNeeded.has(code)) return { _tag: "LoginNeeded", code, reason: said }
  if (code === "1000") return { _tag: "ParameterRefused", reason: said }
  if (code === "9002") return { _tag: "NotDecrypted" }
  return { _tag: "Failed", reason: "status", detail: `it answered with ${said}` }
}

/** No caller's fault: what callers choose is encrypted, and answered with a code. */
const byStatus = (status: number): Verdict => ({
  _tag: "Failed",
  reason: "status",
  detail: `it answered with status ${status}`
})

/** The account, and that it is frozen, banned, locked, suspended or cancelled. */
const blocked =
  /^(?=.*(账号|帐号|账户|帐户|用户|\baccount\b|\buser\b))(?=.*(冻结|封禁|封停|锁定|禁用|停用|注销|block|bann|suspend|disabl|lock|frozen))/is

const tooMany = (answer: Answer, code: string | undefined): Verdict => ({
  _tag: "TooMany",
  signature: `${answer.status} ${code ?? (isPage(answer) ? "page" : "nothing")}`
})

const isPage = ({ body, headers }: Answer) =>
  headers["content-type"]?.includes("html") === true || /^\s*<(!doctype|html)/i.test(body)

const without = (text: string | undefined, secrets: ReadonlyArray<string>): string | undefined =>
  secrets.filter((secret) => secret !== "").reduce((text, secret) => text?.replaceAll(secret, "…"), text)
