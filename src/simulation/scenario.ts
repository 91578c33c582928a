/** What the modelled upstreams are like where the configuration does not say: their true limits, their pace, their troubles. */
import { Duration, Result, Schema } from "effect"
import { firstIssue } from "../domain/firstIssue.ts"
import type { Provider } from "../domain/Provider.ts"
import type { CallLimits } from "../sandbox/openai/callLimits.ts"
import { type ServiceModel, usualService } from "../sandbox/openai/serviceTime.ts"

const Span = Schema.DurationFromString
const Limit = Schema.optionalKey(Schema.NullOr(Schema.Int.check(Schema.isGreaterThanOrEqualTo(1))))

export const FaultKind = Schema.Literals([
  /** Answers 503. */
  "outage",
  /** Breaks the connection. */
  "reset",
  /** Says nothing until the call is given up. */
  "silence",
  /** Refuses every call with 429. */
  "throttle",
  /** Takes ten times as long. */
  "slow"
])
export type FaultKind = typeof FaultKind.Type

/** What `--scenario FILE` holds. */
export const ScenarioFile = Schema.Struct({
  providers: Schema.optionalKey(
    Schema.Record(
      Schema.String,
      Schema.Struct({
        /** What the upstream really bears, where that is not what the configuration says; null for no limit. */
        limits: Schema.optionalKey(Schema.Struct({ concurrency: Limit, rpm: Limit })),
        service: Schema.optionalKey(
          Schema.Struct({
            firstToken: Schema.optionalKey(Span),
            perThousandPrompt: Schema.optionalKey(Span),
            perToken: Schema.optionalKey(Span)
          })
        )
      })
    )
  ),
  /** By how much a service time may differ from the model's, up or down (default 0.2). */
  jitter: Schema.optionalKey(Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 1 }))),
  /** From us to an upstream, and back (default 1 millisecond). */
  transit: Schema.optionalKey(Span),
  faults: Schema.optionalKey(
    Schema.Array(Schema.Struct({ provider: Schema.String, kind: FaultKind, from: Span, for: Span }))
  )
})
export type ScenarioFile = typeof ScenarioFile.Type

const decode = Schema.decodeUnknownResult(Schema.fromJsonString(ScenarioFile), { onExcessProperty: "error" })

/** The file's text as a scenario, or the field that is wrong and why. */
export const parseScenario = (
  text: string
): Result.Result<ScenarioFile, { readonly field: string; readonly reason: string }> =>
  Result.mapError(decode(text), ({ issue }) => firstIssue(issue))

export interface Fault {
  readonly kind: FaultKind
  /** Milliseconds since the start. */
  readonly from: number
  readonly to: number
}

/** One modelled upstream. */
export interface Upstream {
  readonly name: string
  readonly limits: CallLimits
  readonly service: ServiceModel
  readonly faults: ReadonlyArray<Fault>
}

export interface Scenario {
  readonly upstreams: ReadonlyMap<string, Upstream>
  readonly jitter: number
  /** Milliseconds. */
  readonly transit: number
}

/** Of each provider what the file says, and else what its configuration says. */
export const scenarioOf = (
  file: ScenarioFile,
  providers: ReadonlyArray<Provider>
): Result.Result<Scenario, { readonly field: string; readonly reason: string }> => {
  const names = new Set(providers.map(({ name }) => name))
  const stranger = [
    ...Object.keys(file.providers ?? {}).map((name) => [`providers.${name}`, name] as const),
    ...(file.faults ?? []).map(({ provider }, i) => [`faults[${i}].provider`, provider] as const)
  ].find(([, name]) => !names.has(name))
  if (stranger !== undefined) {
    return Result.fail({
      field: stranger[0],
      reason: `the configuration has no provider ${JSON.stringify(stranger[1])}`
    })
  }
  const upstreams = providers.map(({ limits, name }): Upstream => {
    const { limits: real = {}, service } = file.providers?.[name] ?? {}
    return {
      name,
      limits: {
        concurrency: real.concurrency === undefined ? numberOf(limits.concurrency) : real.concurrency,
        rpm: real.rpm === undefined ? numberOf(limits.rpm) : real.rpm
      },
      service: { ...usualService, ...service },
      faults: (file.faults ?? [])
        .filter(({ provider }) => provider === name)
        .map(({ for: length, from, kind }) => {
          const start = Duration.toMillis(from)
          return { kind, from: start, to: start + Duration.toMillis(length) }
        })
    }
  })
  return Result.succeed({
    upstreams: new Map(upstreams.map((upstream) => [upstream.name, upstream])),
    jitter: file.jitter ?? 0.2,
    transit: file.transit === undefined ? 1 : Duration.toMillis(file.transit)
  })
}

/** What nobody told us is taken for no limit. */
const numberOf = (limit: number | "unlimited" | "unknown"): number | null => (typeof limit === "number" ? limit : null)
