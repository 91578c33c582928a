import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { type Clash, clashesOf } from "../../src/pool/clashes.ts"

const few = Schema.Literals(["a", "b", "c"])
const Claimant = Schema.Struct({
  provider: Schema.Literals(["x", "y"]),
  name: few,
  digests: Schema.Array(few).check(Schema.isMaxLength(2))
})
const Claimants = Schema.Array(Claimant).check(Schema.isMaxLength(6))

describe("clashes", () => {
  it.effect.prop(
    "are what comparing each new token with all that are held, and then with all before it, finds",
    [Claimants, Claimants],
    ([claimants, held]) =>
      Effect.sync(() => {
        const ofProvider = (provider: string) => held.filter((other) => other.provider === provider)
        const shares = (one: typeof Claimant.Type, other: typeof Claimant.Type) =>
          one.provider === other.provider && one.digests.some((digest) => other.digests.includes(digest))
        const found = clashesOf(claimants, {
          bySecret: (provider, digest) =>
            ofProvider(provider).find(({ digests }) => digests.some((own) => own === digest))?.name,
          hasName: (provider, name) => ofProvider(provider).some((other) => other.name === name)
        })
        assert.deepStrictEqual(
          found.map(({ index }) => index),
          [...claimants.keys()].filter((index) => {
            const one = claimants[index] ?? assert.fail("no claimant")
            return [...held, ...claimants.slice(0, index)].some(
              (other) => shares(one, other) || (one.provider === other.provider && one.name === other.name)
            )
          })
        )
        for (const clash of found) assert.isTrue(isTrue(clash, claimants, held, shares))
      })
  )
})

/** What the clash says of itself. */
const isTrue = (
  { by, earlier, index, name }: Clash,
  claimants: typeof Claimants.Type,
  held: typeof Claimants.Type,
  shares: (one: typeof Claimant.Type, other: typeof Claimant.Type) => boolean
) => {
  const one = claimants[index] ?? assert.fail("no claimant")
  const others = earlier === undefined ? held : [claimants[earlier] ?? assert.fail("no earlier one")]
  const isToken = others.some((other) => shares(one, other) && other.name === name)
  const isName = others.some((other) => one.provider === other.provider && other.name === name) && one.name === name
  const anyToken = [...held, ...claimants.slice(0, index)].some((other) => shares(one, other))
  return (earlier ?? -1) < index && (by === "token" ? isToken : isName && !anyToken)
}
