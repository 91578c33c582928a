/** Reads what an upstream says about an error, in whichever of the field's dialects it says it. */
import { shownText } from "../shownText.ts"
import { isObject, type JsonObject, parsed } from "./json.ts"

export interface ErrorBody {
  /** Markup: written for a person's browser, mostly by something in front of the service. */
  readonly isPage: boolean
  /** Whether it is an object, as an API writes it. */
  readonly isJson: boolean
  /** Its codes and types, in lower case, the more telling first. */
  readonly codes: ReadonlyArray<string>
  /** Its code as it stands, when that is a name and no number. */
  readonly code: string | undefined
  /** As it stands; not fit to be shown. */
  readonly message: string
  /** All that may tell what is meant, codes and details included. Bound: a few thousand characters. */
  readonly words: string
  /** What of the message may be shown. */
  readonly shown: string | undefined
  readonly param: string | undefined
  /** The HTTP status that the body states. */
  readonly status: number | undefined
}

const longest = 2_000

export const readErrorBody = (body: string, contentType: string | undefined): ErrorBody => {
  const json = parsed(body)
  // Gemini's compatible service wraps its errors in a list.
  const root: unknown = Array.isArray(json) ? json[0] : json
  if (isObject(root)) return ofJson(root)
  const isPage = contentType?.includes("html") === true || /^\s*<(!doctype|html|head|body)/i.test(body)
  const message = typeof root === "string" ? root : body
  return {
    isPage,
    isJson: false,
    codes: [],
    code: undefined,
    message,
    words: isPage ? "" : message.slice(0, longest),
    shown: isPage ? undefined : shownText(message),
    param: undefined,
    status: undefined
  }
}

const ofJson = (root: JsonObject): ErrorBody => {
  const [holder, dialect] = holderOf(root)
  const message =
    textOf(holder["message"]) ??
    textOf(holder["Message"]) ??
    textOf(holder["msg"]) ??
    textOf(holder["status_msg"]) ??
    textOf(holder["detail"]) ??
    textOf(holder["error_description"]) ??
    textOf(root["message"]) ??
    textOf(root["detail"]) ??
    textOf(holder["title"]) ??
    ""
  const inner = holder["innererror"]
  const codes = [
    holder["code"],
    holder["Code"],
    holder["status_code"],
    isObject(inner) ? inner["code"] : undefined,
    holder["type"],
    holder["error_type"],
    holder["status"],
    root["code"]
  ].flatMap((code) => codeOf(code, dialect))
  const details = [holder["details"], holder["metadata"], inner].filter((part) => part !== undefined && part !== null)
  return {
    isPage: false,
    isJson: true,
    codes: [...new Set(codes)],
    code: nameOf(holder["code"]) ?? nameOf(holder["Code"]),
    message,
    words: [...codes, message.slice(0, longest), JSON.stringify(details).slice(0, longest)].join(" "),
    shown: shownText(message),
    param: paramOf(holder["param"]) ?? paramOfDetail(holder["detail"]),
    status: [
      holder["status"],
      holder["statusCode"],
      holder["status_code"],
      holder["code"],
      root["status"],
      root["code"]
    ]
      .map(statusOf)
      .find((status) => status !== undefined)
  }
}

/** The object that holds the error, and a word to keep its codes apart where they mean something else than others' do. */
const holderOf = (root: JsonObject): readonly [holder: JsonObject, dialect: string] => {
  const { Response: tencent, base_resp: minimax, error, response } = root
  if (isObject(error)) return [error, ""]
  if (typeof error === "string" && error !== "") {
    return [
      { ...root, message: root["message"] ?? root["error_description"] ?? error, type: root["type"] ?? error },
      ""
    ]
  }
  if (isObject(tencent) && isObject(tencent["Error"])) return [tencent["Error"], ""]
  if (isObject(minimax)) return [minimax, "minimax "]
  if (isObject(response) && isObject(response["error"])) return [response["error"], ""]
  // Mistral puts the list of what it finds wrong where others have the text.
  const { message } = root
  return [isObject(message) ? { ...root, ...message, message: undefined } : root, ""]
}

const textOf = (value: unknown): string | undefined => {
  if (typeof value === "string") return value === "" ? undefined : value
  // FastAPI's list of what is wrong with the request.
  const first: unknown = Array.isArray(value) ? value[0] : undefined
  return isObject(first) && typeof first["msg"] === "string" ? first["msg"] : undefined
}

/** A number, or a name without one: what mixes them may be anything, a key too. A problem's type may be an address (RFC 9457). */
const codeLike = /^(\d{1,8}|[a-z][a-z_.-]{0,63})$/i

const codeOf = (value: unknown, dialect: string): ReadonlyArray<string> => {
  if (typeof value !== "string" && typeof value !== "number") return []
  const code = String(value)
  return codeLike.test(code) ? [dialect + code.toLowerCase()] : []
}

const nameOf = (code: unknown): string | undefined =>
  typeof code === "string" && codeLike.test(code) && !/\d/.test(code) ? code : undefined

const statusOf = (value: unknown): number | undefined => {
  const status = typeof value === "string" && /^\d{3}$/.test(value) ? Number(value) : value
  return typeof status === "number" && Number.isInteger(status) && status >= 400 && status < 600 ? status : undefined
}

const paramOf = (value: unknown): string | undefined =>
  typeof value === "string" && /^[\w.[\]-]{1,100}$/.test(value) && shownText(value) === value ? value : undefined

const paramOfDetail = (detail: unknown): string | undefined => {
  const first: unknown = Array.isArray(detail) ? detail[0] : undefined
  if (!isObject(first) || !Array.isArray(first["loc"])) return undefined
  return paramOf(first["loc"].filter((part, index) => index > 0 || part !== "body").join("."))
}
