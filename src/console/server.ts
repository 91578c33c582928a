/** The server as the console asks it: typed by the contract, with the session's token on each change. */
import { Effect, Redacted, Schema, Stream } from "effect"
import { FetchHttpClient, HttpClient, HttpClientError, HttpClientRequest, HttpClientResponse } from "effect/http"
import { HttpApi, HttpApiClient } from "effect/http-api"
import { Admin, Login } from "../contract/admin.ts"
import { AlertsApi } from "../contract/alerts.ts"
import { Console, type ConsoleEvent, Imported, ImportRefusal } from "../contract/console.ts"
import { ProvidersApi } from "../contract/providers.ts"
import { TracesApi } from "../contract/traces.ts"

class ConsoleApi extends HttpApi.make("console")
  .add(Login)
  .add(Admin)
  .add(Console)
  .add(TracesApi)
  .add(ProvidersApi)
  .add(AlertsApi) {}

/** What the session was told to show with each change; empty before the login. */
let csrf = ""

const transformClient = HttpClient.mapRequest((request) =>
  csrf === "" ? request : HttpClientRequest.setHeader(request, "x-csrf-token", csrf)
)
const baseUrl = location.origin
const http = HttpClient.HttpClient.pipe(
  Effect.map(transformClient),
  Effect.provide(FetchHttpClient.layer),
  Effect.runSync
)
const client = HttpApiClient.make(ConsoleApi, { baseUrl, transformClient }).pipe(
  Effect.provide(FetchHttpClient.layer),
  Effect.runSync
)

type Client = typeof client

/** What went wrong, as a person can act on it. */
export interface Trouble {
  /** `login`: the session has ended. `stale`: it is another one by now. `offline`: the server does not answer. */
  readonly kind: "login" | "stale" | "offline" | "refused"
  readonly message: string
}

const troubleOf = (error: unknown): Trouble => {
  if (typeof error === "object" && error !== null) {
    if ("error" in error) {
      const { error: told } = error
      const body = typeof told === "object" && told !== null ? told : { message: String(told) }
      const code = "code" in body ? body.code : undefined
      const message = "message" in body ? String(body.message) : "the server refused it"
      return { kind: code === "invalid_api_key" ? "login" : code === "cross_site" ? "stale" : "refused", message }
    }
    if (HttpClientError.isHttpClientError(error) && error.reason._tag === "TransportError") {
      return { kind: "offline", message: "The server does not answer." }
    }
    if (
      Schema.isSchemaError(error) ||
      (HttpClientError.isHttpClientError(error) && error.reason._tag === "DecodeError")
    ) {
      return {
        kind: "refused",
        message: "The server answers as this page does not know it: it may be a newer one. Reload the page."
      }
    }
  }
  return { kind: "refused", message: error instanceof Error ? error.message : "something went wrong" }
}

let onEnded = () => {}

/** Calls when the server no longer knows the session. */
export const whenSessionEnds = (call: () => void) => {
  onEnded = call
}

const told = (trouble: Trouble) => {
  if (trouble.kind === "login") onEnded()
}

export type Question<A> = (client: Client) => Effect.Effect<A, unknown>

/** Rejects with a `Trouble`. */
export const ask = async <A>(question: Question<A>): Promise<A> => {
  const asking = Effect.mapError(
    Effect.suspend(() => question(client)),
    troubleOf
  )
  const result = await Effect.runPromise(
    asking.pipe(
      // Another page of this browser has logged in since: its session is this page's too.
      Effect.catchIf(
        ({ kind }) => kind === "stale",
        () => Effect.andThen(Effect.tryPromise({ try: resumed, catch: troubleIn }), asking)
      ),
      Effect.result
    )
  )
  if (result._tag === "Success") return result.success
  told(result.failure)
  throw result.failure
}

/** The server is heard at least every step of the overview's history; this is two of them and time for a slow one. */
const silence = "15 seconds"

/** What changes, as it changes; ends, or fails with a `Trouble`, when it is to be asked for anew. */
export const events: Stream.Stream<typeof ConsoleEvent.Type, Trouble> = Stream.unwrap(client.console.events()).pipe(
  Stream.timeout(silence),
  Stream.mapError(troubleOf),
  Stream.tapError((trouble) => Effect.sync(() => told(trouble)))
)

export const isTrouble = (value: unknown): value is Trouble =>
  typeof value === "object" && value !== null && "kind" in value && "message" in value

const troubleIn = (reason: unknown): Trouble => (isTrouble(reason) ? reason : troubleOf(reason))

export const messageOf = (reason: unknown): string => (isTrouble(reason) ? reason.message : String(reason))

const isRefusal = Schema.is(ImportRefusal)

/** Adds the tokens of a file, or says what would come of it. The file is sent as it is, so that what is wrong with it is told by its lines. */
export const importTokens = (
  text: string,
  { isDry, provider }: { readonly isDry: boolean; readonly provider: string }
): Promise<typeof Imported.Type> =>
  ask(() =>
    HttpClientRequest.post(`${baseUrl}/api/admin/tokens/import`).pipe(
      HttpClientRequest.setUrlParams({ provider, skip_known: "true", dry_run: String(isDry) }),
      HttpClientRequest.bodyText(text, "application/json"),
      http.execute,
      Effect.flatMap((response): Effect.Effect<typeof Imported.Type, unknown> =>
        response.status === 200
          ? HttpClientResponse.schemaBodyJson(Imported)(response)
          : Effect.flatMap(response.json, (body) => Effect.fail(isRefusal(body) ? problemsOf(body) : body))
      )
    )
  )

/** As the server's errors, in lines. */
const problemsOf = ({ error: { code, message }, problems }: typeof ImportRefusal.Type) => ({
  error: {
    code,
    message: [
      message,
      ...problems.map(({ field, line, reason }) => `line ${line}: ${field === null ? "" : `${field}: `}${reason}`)
    ].join("\n")
  }
})

/** Whether there is a session. */
export const resumed = async (): Promise<boolean> => {
  const session = await ask(({ login }) => login.session())
  csrf = session === null ? "" : Redacted.value(session.csrf)
  return session !== null
}

export const logIn = async (password: string): Promise<void> => {
  const session = await ask(({ login }) => login.login({ payload: { password: Redacted.make(password) } }))
  csrf = Redacted.value(session.csrf)
}

export const logOut = async (): Promise<void> => {
  await ask(({ admin }) => admin.logout())
  csrf = ""
}
