/** A batch before scripted upstreams, in virtual time and without a disk. */
import { Effect, Layer, Redacted } from "effect"
import * as Broker from "../../src/Broker.ts"
import { Answerer } from "../../src/batch/Answerer.ts"
import { Batch, type BatchJob } from "../../src/batch/Batch.ts"
import { FileLock } from "../../src/batch/FileLock.ts"
import type { Limits, OpenAiProvider, Target } from "../../src/domain/Provider.ts"
import * as Testing from "../../src/testing/index.ts"
import { warp } from "../../src/traffic/offering.ts"
import { memoryFiles } from "./memoryFiles.ts"

const free: Limits = { concurrency: "unlimited", rpm: "unlimited", tpm: "unlimited" }

export const provider = (name: string, limits: Partial<Limits> = {}): OpenAiProvider => ({
  name,
  kind: "openai",
  baseUrl: "http://127.0.0.1:9/v1",
  keys: [{ name: "env:KEY", kind: "shared", secret: Redacted.make(`synthetic-${name}`) }],
  limits: { ...free, ...limits },
  timeouts: warp.timeouts,
  models: ["small", "large"]
})

export const at = (name: string, model = "small"): Target => ({ provider: name, model })

/** A request's line. */
export const line = (customId: string, more: object = {}, body: object = {}) =>
  JSON.stringify({
    custom_id: customId,
    method: "POST",
    url: "/v1/chat/completions",
    body: { model: "small", messages: [{ role: "user", content: customId }], ...body },
    ...more
  })

export const lines = (count: number, from = 0) =>
  Array.from({ length: count }, (_, i) => line(`q${from + i}`))
    .map((text) => `${text}\n`)
    .join("")

/** The test's files: what is in them as text, and as the answers they hold. */
export const makeFiles = (input: string | Uint8Array, more: Readonly<Record<string, string>> = {}) => {
  const files = new Map<string, Uint8Array>(Object.entries(more).map(([name, text]) => [name, Buffer.from(text)]))
  files.set("in.jsonl", Buffer.from(input))
  const text = (name: string) => Buffer.from(files.get(name) ?? []).toString()
  const answers = (name: string): ReadonlyArray<Written> =>
    text(name)
      .split("\n")
      .slice(0, -1)
      .map((one) => JSON.parse(one))
  return {
    files,
    text,
    answers,
    output: () => answers("in.output.jsonl"),
    errors: () => answers("in.errors.jsonl"),
    rejected: () => answers("in.rejected.jsonl")
  }
}

export interface Written {
  readonly id: string
  readonly custom_id: string
  readonly response: {
    readonly status_code: number
    readonly request_id: string
    // Answers of every shape.
    // oxlint-disable-next-line typescript/no-explicit-any
    readonly body: any
  } | null
  readonly error: { readonly code: string; readonly message: string } | null
  readonly line: number
  readonly field: string
  readonly reason: string
  readonly input: string
}

export const idsOf = (written: ReadonlyArray<Written>) => written.map(({ custom_id }) => custom_id).toSorted()

export const batching = (
  files: Map<string, Uint8Array>,
  providers: ReadonlyArray<OpenAiProvider>,
  options: Omit<Broker.BrokerOptions, "providers"> = {}
) =>
  Batch.layerNoDeps.pipe(
    Layer.provideMerge(Answerer.layer),
    Layer.provideMerge(Layer.mergeAll(memoryFiles(files), FileLock.layerMemory)),
    Layer.provideMerge(Broker.layerWith({ ...options, providers })),
    Layer.provideMerge(Testing.layer())
  )

export const start = (job: Partial<BatchJob> = {}) => Batch.use((batch) => batch.start({ input: "in.jsonl", ...job }))
export const run = (job: Partial<BatchJob> = {}) => Effect.scoped(Effect.flatMap(start(job), ({ ended }) => ended))
