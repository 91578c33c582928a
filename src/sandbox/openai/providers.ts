/** The OpenAI-compatible providers that are emulated: what they offer, in which dialect, and their limits of document D3. */
import type { CallLimits } from "./callLimits.ts"
import type { Dialect } from "./dialect.ts"
import { hunyuan } from "./dialects/hunyuan.ts"
import { nvidia } from "./dialects/nvidia.ts"
import { siliconflow } from "./dialects/siliconflow.ts"
import { zhipu } from "./dialects/zhipu.ts"

export const providerNames = ["nvidia1", "nvidia2", "zhipu", "hunyuan", "siliconflow"] as const
export type ProviderName = (typeof providerNames)[number]

export const openAiCalls = ["chat", "completions", "embeddings", "responses", "models"] as const
export type OpenAiCall = (typeof openAiCalls)[number]

/** Below a provider's base path. */
export const pathOf: Readonly<Record<OpenAiCall, `/${string}`>> = {
  chat: "/chat/completions",
  completions: "/completions",
  embeddings: "/embeddings",
  responses: "/responses",
  models: "/models"
}

export interface EmulatedModel {
  readonly name: string
  /** Tokens of question and answer together. */
  readonly context: number
  readonly kind: "chat" | "embedding"
}

export interface EmulatedProvider {
  readonly limits: CallLimits
  readonly dialect: Dialect
  readonly calls: ReadonlySet<OpenAiCall>
  readonly models: ReadonlyArray<EmulatedModel>
}

const chat = (name: string, context: number): EmulatedModel => ({ name, context, kind: "chat" })
const embedding = (name: string, context: number): EmulatedModel => ({ name, context, kind: "embedding" })

const nvidiaAccount: EmulatedProvider = {
  limits: { concurrency: 5, rpm: 40 },
  dialect: nvidia,
  calls: new Set(["chat", "completions", "embeddings", "models"]),
  models: [chat("llama-3.3-70b", 131_072), chat("nemotron-mini-4b", 4_096), embedding("nv-embed-v1", 4_096)]
}

export const providers: Readonly<Record<ProviderName, EmulatedProvider>> = {
  nvidia1: nvidiaAccount,
  nvidia2: nvidiaAccount,
  zhipu: {
    // Nobody knows its rate, so it has none unless it is given one.
    limits: { concurrency: 1, rpm: null },
    dialect: zhipu,
    calls: new Set(["chat", "embeddings", "models"]),
    models: [chat("glm-4.5", 131_072), chat("glm-4-flash", 32_768), embedding("embedding-3", 8_192)]
  },
  hunyuan: {
    limits: { concurrency: 5, rpm: null },
    dialect: hunyuan,
    calls: new Set(["chat", "responses", "models"]),
    models: [chat("hunyuan-turbo", 32_768), chat("llama-3.3-70b", 131_072)]
  },
  siliconflow: {
    limits: { concurrency: null, rpm: 5 },
    dialect: siliconflow,
    calls: new Set(["chat", "completions", "embeddings", "models"]),
    models: [
      chat("deepseek-v3", 65_536),
      chat("qwen3-32b", 32_768),
      chat("llama-3.3-70b", 131_072),
      embedding("bge-m3", 8_192)
    ]
  }
}

/** Where a provider is served, below the sandbox's own address. */
export const basePathOf = (provider: ProviderName): `/${ProviderName}/v1` => `/${provider}/v1`

/** Synthetic, and the same for every seed, so that a configuration file can hold them. */
export const keysOf = (provider: ProviderName): ReadonlyArray<string> =>
  accountsOf(provider).map((account) => `sandbox-${account}`)

/** The accounts by the names that faults and the log know them by. */
export const accountsOf = (provider: ProviderName): ReadonlyArray<string> => [`${provider}-a`, `${provider}-b`]

/** The account a bearer belongs to. */
export const accountOf = (provider: ProviderName, bearer: string): string | undefined =>
  accountsOf(provider).find((account) => bearer === `sandbox-${account}`)
