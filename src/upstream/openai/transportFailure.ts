/** What went wrong on the way, as a caller can act on it. Never quotes the request, nor what came instead of an answer. */
import { UpstreamUnavailable } from "../../domain/Failure.ts"

/** How far the call had come. */
export type Phase = "connecting" | "sent" | "answering"

export const transportFailure = (provider: string, phase: Phase, error: Error): UpstreamUnavailable => {
  const code = codeOf(error)
  const fail = (reason: UpstreamUnavailable["reason"], detail: string) =>
    new UpstreamUnavailable({ provider, reason, detail: code === "" ? detail : `${detail} (${code})` })
  if (code === "UND_ERR_INVALID_ARG")
    return fail("internal", "the request cannot be written: its key is no header's value")
  if (isMalformed(error, code)) return fail("malformed", "what it answers is no HTTP")
  switch (phase) {
    case "connecting":
      return fail("connection", "no connection could be made")
    case "sent":
      return fail("connection", "the connection broke off before an answer")
    case "answering":
      return fail("cut", "the connection broke off in the middle of the answer")
  }
}

/** Of bytes that end too soon the parser too says that they do not match. */
const isMalformed = (error: Error, code: string) =>
  code === "UND_ERR_HEADERS_OVERFLOW" || (error.name === "HTTPParserError" && !error.message.includes("EOF"))

const codeOf = (error: Error): string => {
  if ("code" in error && typeof error.code === "string") return error.code
  // Of the addresses of a host, all of which have failed.
  return error instanceof AggregateError && error.errors[0] instanceof Error ? codeOf(error.errors[0]) : ""
}
