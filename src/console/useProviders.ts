/** The providers whose tokens the pool may hold. */
import { useLive } from "./live.ts"
import { ask } from "./server.ts"
import { useAsked } from "./useAsked.ts"

/** The drive's, which answers no models. */
const drive = "wopan"

export const useProviders = (): ReadonlyArray<string> => {
  const { overview } = useLive()
  const { answer = [] } = useAsked(
    () => ask(({ providers }) => providers.list()).then(({ providers }) => providers.map(({ name }) => name)),
    { every: 60_000 }
  )
  const held = overview?.tokens.map(({ provider }) => provider) ?? []
  return [...new Set([...answer, ...held, drive])]
}
