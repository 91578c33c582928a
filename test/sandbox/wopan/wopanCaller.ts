/** Speaks to the dispatcher of a running sandbox by hand, over a real socket, and shows what came back. */
import { Clock, Effect, Redacted } from "effect"
import { HttpClient, HttpClientRequest } from "effect/http"
import { Sandbox } from "../../../src/sandbox/Sandbox.ts"
import { decrypt, encrypt, signatureOf } from "../../../src/upstream/wopan/cipher.ts"
import { at, text } from "../warpCaller.ts"

export interface Spoken {
  readonly channel?: "api-user" | "wohome"
  readonly operation?: string
  readonly params?: object
  readonly access?: string
  /** In place of what a client would send. The signature is made of what is sent. */
  readonly header?: object
  readonly body?: object
  readonly headers?: Readonly<Record<string, string>>
}

export const tokens = Effect.map(Sandbox, ({ wopan }) =>
  wopan.tokens.map(({ access, expiresAt, refresh }) => ({
    access: access === undefined ? "" : Redacted.value(access),
    refresh: refresh === undefined ? "" : Redacted.value(refresh),
    expiresAt
  }))
)

export const tokenOf = (index: number) =>
  Effect.map(tokens, (all) => all[index] ?? { access: "", refresh: "", expiresAt: undefined })

/** The answer's code, and its data, decrypted where it is not in clear: undefined where that cannot be done. */
export const speak = Effect.fnUntraced(function* (spoken: Spoken) {
  const { wopan } = yield* Sandbox
  const http = yield* HttpClient.HttpClient
  const { access = "", body, channel = "wohome", header, headers = {}, operation = "QueryAllFiles", params } = spoken
  const iv = Redacted.value(wopan.iv)
  const clientSecret = Redacted.value(wopan.clientSecret)
  const key = channel === "wohome" ? access.padEnd(16, "0").slice(0, 16) : clientSecret
  const now = yield* Clock.currentTimeMillis
  const signed = { key: operation, resTime: now, reqSeq: 101_010, channel, version: "", ...header }
  const { clientId } = wopan
  const all = { ...(channel === "wohome" ? { clientId } : { clientSecret }), ...params }
  const sent = {
    header: { ...signed, sign: signatureOf(signed), ...header },
    body: {
      param: encrypt(JSON.stringify(all), key, iv),
      secret: true,
      ...(channel === "api-user" ? { clientId } : {}),
      ...body
    }
  }
  const response = yield* http.execute(
    HttpClientRequest.post(`${wopan.baseUrl}/${channel}/dispatcher`).pipe(
      HttpClientRequest.setHeaders({ ...(access === "" ? {} : { accesstoken: access }), ...headers }),
      HttpClientRequest.bodyJsonUnsafe(sent)
    )
  )
  const answer = yield* response.text
  const json = parsed(answer)
  const raw = at(json, "RSP", "DATA")
  const data = typeof raw === "string" && raw !== "" ? parsed(decrypt(raw, key, iv) ?? "") : raw
  return {
    status: response.status,
    headers: response.headers,
    text: answer,
    json,
    code: at(json, "RSP", "RSP_CODE"),
    reason: at(json, "RSP", "RSP_DESC"),
    data
  }
})

const parsed = (json: string): unknown => {
  try {
    return JSON.parse(json)
  } catch {
    return undefined
  }
}

export const list = (access: string, more: object = {}) =>
  speak({
    access,
    params: { spaceType: "0", parentDirectoryId: "0", pageNum: 0, pageSize: 100, sortRule: 0, ...more }
  })

export const renew = (refreshToken: string) =>
  speak({ channel: "api-user", operation: "AppRefreshToken", params: { refreshToken } })

export const queryUser = (access: string) =>
  speak({ channel: "api-user", operation: "AppQueryUser", access, params: { accessToken: access } })

export const downloadUrl = (access: string, fid: string) =>
  speak({ access, operation: "GetDownloadUrlV2", params: { type: "1", fidList: [fid] } })

export interface Listed {
  readonly id: string
  readonly fid: string
  readonly name: string
  readonly type: number
  readonly size: unknown
  readonly createTime: string
}

export const filesIn = (data: unknown): ReadonlyArray<Listed> => {
  const files = at(data, "files")
  if (!Array.isArray(files)) throw new TypeError("no listing")
  return files
}

export const namesIn = (data: unknown) => filesIn(data).map(({ name }) => name)

/** What a folder of the root is asked by. */
export const folderId = (access: string, name: string) =>
  Effect.map(list(access), ({ data }) => filesIn(data).find((file) => file.name === name)?.id ?? "none")

/** The address of a file of the root. */
export const addressOf = Effect.fnUntraced(function* (access: string, name: string) {
  const { data } = yield* list(access)
  const file = filesIn(data).find((file) => file.name === name)
  const told = yield* downloadUrl(access, file?.fid ?? "none")
  return text(told.data, "list", 0, "downloadUrl")
})
