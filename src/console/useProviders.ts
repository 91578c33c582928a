/** The providers whose tokens the pool may hold. */
import { wopanProvider } from "../domain/Provider.ts"
import { useLive } from "./live.ts"
import { ask } from "./server.ts"
import { useAsked } from "./useAsked.ts"

export const useProviders = (): ReadonlyArray<string> => {
  const { overview } = useLive()
  const { answer = [] } = useAsked(
    () => ask(({ providers }) => providers.list()).then(({ providers }) => providers.map(({ name }) => name)),
    { every: 60_000 }
  )
  const held = overview?.tokens.map(({ provider }) => provider) ?? []
  // The drive is none of those that answer models.
  return [...new Set([...answer, ...held, wopanProvider])]
}
