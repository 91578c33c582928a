/** Which of several new tokens are no new ones: a pure rule. */
import { Schema } from "effect"

const Clash = Schema.Struct({
  /** Which of the new tokens, from 0. */
  index: Schema.Int,
  by: Schema.Literals(["token", "name"]),
  /** What the other is called. */
  name: Schema.String,
  /** When the other is itself one of the new tokens: which. Else the pool holds it. */
  earlier: Schema.optionalKey(Schema.Int)
})
export type Clash = typeof Clash.Type

/** Some of the tokens are held already, or are called as others are. None was added. */
export class TokensClash extends Schema.TaggedError<TokensClash>()("TokensClash", {
  clashes: Schema.NonEmptyArray(Clash)
}) {
  override get message() {
    const [{ by, name }] = this.clashes
    return by === "token" ? `the token is held already, as ${name}` : `another token is named ${name} already`
  }
}

export interface Claimant {
  readonly provider: string
  readonly name: string
  /** Of its secrets. */
  readonly digests: ReadonlyArray<string>
}

export interface Held {
  /** The name of the token of the provider that has this secret. */
  bySecret(provider: string, digest: string): string | undefined
  hasName(provider: string, name: string): boolean
}

/** One for each that clashes, in their order; that it is the same token outweighs that it has the same name. */
export const clashesOf = (claimants: ReadonlyArray<Claimant>, held: Held): ReadonlyArray<Clash> => {
  const names = new Map<string, number>()
  const secrets = new Map<string, number>()
  const clashes: Array<Clash> = []
  for (const [index, { digests, name, provider }] of claimants.entries()) {
    const of = (text: string) => JSON.stringify([provider, text])
    const clash =
      first(digests, (digest) => {
        const other = held.bySecret(provider, digest)
        return other === undefined ? undefined : { index, by: "token", name: other }
      }) ??
      first(digests, (digest) => {
        const earlier = secrets.get(of(digest))
        return earlier === undefined
          ? undefined
          : { index, by: "token", name: claimants[earlier]?.name ?? name, earlier }
      }) ??
      (held.hasName(provider, name) ? { index, by: "name" as const, name } : undefined) ??
      first([names.get(of(name))], (earlier) =>
        earlier === undefined ? undefined : { index, by: "name", name, earlier }
      )
    if (clash !== undefined) clashes.push(clash)
    if (!names.has(of(name))) names.set(of(name), index)
    for (const digest of digests) if (!secrets.has(of(digest))) secrets.set(of(digest), index)
  }
  return clashes
}

const first = <A>(values: ReadonlyArray<A>, clash: (value: A) => Clash | undefined): Clash | undefined => {
  for (const value of values) {
    const found = clash(value)
    if (found !== undefined) return found
  }
  return undefined
}
