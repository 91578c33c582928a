/** The contract: what `/openapi.json` says and `/docs` shows. */
import { Schema } from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import { ChatRequest, ToolCall } from "../domain/Chat.ts"
import { version } from "../version.ts"
import { Access } from "../contract/Access.ts"
import { Admin, Login } from "../contract/admin.ts"
import { AlertsApi } from "../contract/alerts.ts"
import { Console } from "../contract/console.ts"
import { DriveApi } from "../contract/drive.ts"
import { ProvidersApi } from "../contract/providers.ts"
import { Tokens } from "../contract/tokens.ts"
import { TracesApi } from "../contract/traces.ts"
import { ErrorBody, failures } from "../contract/wire.ts"
import { ModelList } from "./models.ts"
import { PerformanceReport } from "./performanceReport.ts"

const ChatCompletion = Schema.Struct({
  id: Schema.String,
  object: Schema.Literal("chat.completion"),
  created: Schema.Int,
  model: Schema.String,
  choices: Schema.Array(
    Schema.Struct({
      index: Schema.Int,
      message: Schema.Struct({
        role: Schema.Literal("assistant"),
        content: Schema.NullOr(Schema.String),
        refusal: Schema.NullOr(Schema.String),
        reasoning_content: Schema.optionalKey(Schema.String),
        tool_calls: Schema.optionalKey(Schema.Array(ToolCall))
      }),
      logprobs: Schema.Null,
      finish_reason: Schema.Literals(["stop", "tool_calls", "length"])
    })
  ),
  usage: Schema.optionalKey(
    Schema.Struct({ prompt_tokens: Schema.Int, completion_tokens: Schema.Int, total_tokens: Schema.Int })
  )
}).annotate({ identifier: "ChatCompletion" })

/** What is not ours to describe: the upstream's own wire, of which only `model` and `stream` are looked at. */
const passedThrough = <const Name extends string, const Path extends `/${string}`>(
  name: Name,
  path: Path,
  summary: string
) =>
  HttpApiEndpoint.post(name, path, {
    payload: Schema.Record(Schema.String, Schema.Json),
    success: Schema.Json,
    error: failures
  }).annotate(OpenApi.Summary, summary)

class Calls extends HttpApiGroup.make("calls")
  .add(
    HttpApiEndpoint.post("complete", "/v1/chat/completions", {
      payload: ChatRequest,
      success: [
        ChatCompletion,
        HttpApiSchema.StreamSse({
          events: Schema.Struct({
            event: Schema.optional(Schema.String),
            id: Schema.optional(Schema.String),
            data: Schema.String
          })
        })
      ],
      error: failures
    }).annotate(OpenApi.Summary, "Chat completion, whole or streamed, as OpenAI's")
  )
  .add(passedThrough("completions", "/v1/completions", "Completion of a prompt, for providers that have it"))
  .add(passedThrough("embeddings", "/v1/embeddings", "Embeddings, for providers that have them"))
  .add(passedThrough("responses", "/v1/responses", "OpenAI's Responses, for providers that have them"))
  .middleware(Access) {}

class Models extends HttpApiGroup.make("models")
  .add(
    HttpApiEndpoint.get("list", "/v1/models", { success: ModelList }).annotate(
      OpenApi.Summary,
      "The models, and what each of their targets can do now"
    )
  )
  .add(
    HttpApiEndpoint.get("performance", "/v1/performance", { success: PerformanceReport, error: failures }).annotate(
      OpenApi.Summary,
      "How tokens are spent, predicted and acquired"
    )
  )
  .middleware(Access) {}

const Health = Schema.Struct({ status: Schema.String })

const ManagerHealth = Schema.Struct({
  status: Schema.Literal("healthy"),
  service: Schema.Literal("Weirgate"),
  /** RFC 3339, in UTC. */
  timestamp: Schema.String
})

class Probes extends HttpApiGroup.make("probes")
  .add(
    HttpApiEndpoint.get("health", "/health", { success: ManagerHealth }).annotate(
      OpenApi.Summary,
      "The same as D4's services say it"
    )
  )
  .add(
    HttpApiEndpoint.get("healthz", "/healthz", { success: Health }).annotate(OpenApi.Summary, "Is the process alive?")
  )
  .add(
    HttpApiEndpoint.get("readyz", "/readyz", {
      success: Health,
      error: ErrorBody.pipe(HttpApiSchema.status(503))
    }).annotate(OpenApi.Summary, "Can it serve? 503 when its store cannot be reached")
  ) {}

/** What the router serves. */
export class Routed extends HttpApi.make("weirgate")
  .add(Models)
  .add(Tokens)
  .add(DriveApi)
  .add(Login)
  .add(Admin)
  .add(ProvidersApi)
  .add(AlertsApi)
  .add(Console)
  .add(TracesApi)
  .add(Probes) {}

/** All of it: with the calls of models, which `ModelServer` answers. */
export class Api extends HttpApi.make("weirgate")
  .add(Calls)
  .addHttpApi(Routed)
  .annotate(OpenApi.Title, "Weirgate")
  .annotate(OpenApi.Version, version)
  .annotate(
    OpenApi.Description,
    "A quota-aware token broker and OpenAI-compatible gateway. Prometheus metrics are at `/metrics`."
  ) {}
