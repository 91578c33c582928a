/** The server as the console asks it: typed by the contract, with the session's token on each change. */
import { Effect, Redacted } from "effect"
import { FetchHttpClient, HttpClient, HttpClientError, HttpClientRequest } from "effect/http"
import { HttpApi, HttpApiClient } from "effect/http-api"
import { Admin, Login } from "../contract/admin.ts"
import { AlertsApi } from "../contract/alerts.ts"
import { ProvidersApi } from "../contract/providers.ts"
import { Tokens } from "../contract/tokens.ts"

class ConsoleApi extends HttpApi.make("console").add(Login).add(Admin).add(Tokens).add(ProvidersApi).add(AlertsApi) {}

/** What the session was told to show with each change; empty before the login. */
let csrf = ""

const client = Effect.runSync(
  HttpApiClient.make(ConsoleApi, {
    baseUrl: location.origin,
    transformClient: HttpClient.mapRequest((request) =>
      csrf === "" ? request : HttpClientRequest.setHeader(request, "x-csrf-token", csrf)
    )
  }).pipe(Effect.provide(FetchHttpClient.layer))
)

type Client = typeof client

/** What went wrong, as a person can act on it. */
export interface Trouble {
  /** `login`: the session has ended. `offline`: the server does not answer. */
  readonly kind: "login" | "offline" | "refused"
  readonly message: string
}

const troubleOf = (error: unknown): Trouble => {
  if (typeof error === "object" && error !== null) {
    if ("error" in error) {
      const { error: told } = error
      const body = typeof told === "object" && told !== null ? told : { message: String(told) }
      const code = "code" in body ? body.code : undefined
      const message = "message" in body ? String(body.message) : "the server refused it"
      return { kind: code === "invalid_api_key" ? "login" : "refused", message }
    }
    if (HttpClientError.isHttpClientError(error) && error.reason._tag === "TransportError") {
      return { kind: "offline", message: "The server does not answer." }
    }
  }
  return { kind: "refused", message: error instanceof Error ? error.message : "something went wrong" }
}

/** Rejects with a `Trouble`. */
export const ask = async <A>(question: (client: Client) => Effect.Effect<A, unknown>): Promise<A> => {
  const result = await Effect.runPromise(Effect.result(Effect.mapError(question(client), troubleOf)))
  if (result._tag === "Success") return result.success
  throw result.failure
}

export const isTrouble = (value: unknown): value is Trouble =>
  typeof value === "object" && value !== null && "kind" in value && "message" in value

export const messageOf = (reason: unknown): string => (isTrouble(reason) ? reason.message : String(reason))

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
