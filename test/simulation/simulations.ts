/** A configuration and a scenario to simulate with. */
import { Effect, Redacted, Result } from "effect"
import { configured } from "../../src/config/configured.ts"
import { parse } from "../../src/config/SettingsFile.ts"
import { parseScenario, scenarioOf } from "../../src/simulation/scenario.ts"
import { simulate, type SimulationOptions } from "../../src/simulation/Simulation.ts"
import type { Arrival } from "../../src/simulation/trace.ts"

export interface Provider {
  readonly name: string
  readonly concurrency?: number | "unlimited"
  readonly rpm?: number | "unlimited"
}

const configurationOf = (providers: ReadonlyArray<Provider>) => {
  const file = {
    providers: providers.map((provider) => ({
      kind: "openai",
      baseUrl: "sandbox:/nvidia1/v1",
      keys: [`sandbox-${provider.name}-a`],
      models: ["m"],
      ...provider
    })),
    routes: [{ model: "expert", targets: providers.map(({ name }) => `${name}/m`) }]
  }
  const read = parse(JSON.stringify(file))
  if (Result.isFailure(read)) throw new Error(JSON.stringify(read.failure))
  return configured(read.success, () => Redacted.make("synthetic")).configured
}

export const simulated = (
  providers: ReadonlyArray<Provider>,
  trace: ReadonlyArray<Arrival>,
  options: Partial<SimulationOptions> & { readonly file?: object } = {}
) =>
  Effect.gen(function* () {
    const { file = {}, ...rest } = options
    const configuration = configurationOf(providers)
    const scenario = Result.flatMap(parseScenario(JSON.stringify(file)), (read) =>
      scenarioOf(read, configuration.providers)
    )
    if (Result.isFailure(scenario)) return yield* Effect.die(scenario.failure)
    return yield* simulate({
      broker: { providers: configuration.providers, routes: configuration.routes, traffic: configuration.traffic },
      scenario: scenario.success,
      trace,
      name: "test.csv",
      model: "expert",
      pace: { speed: 1 },
      clients: 3,
      seed: "seed",
      ...rest
    })
  })

/** So many requests, so many milliseconds apart. */
export const evenly = (count: number, gap: number): ReadonlyArray<Arrival> =>
  Array.from({ length: count }, (_, i) => ({ at: i * gap, prompt: 1_000, completion: 11 }))
