import { assert, describe, it } from "@effect/vitest"
import { noLessons } from "../../src/traffic/capacity.ts"
import { make, type Site } from "../../src/traffic/sites.ts"

const sites = () =>
  make({ ageing: 1_000, margin: 0, lessonsOf: () => noLessons, pastOf: () => [], isPaused: () => false })

const siteOf = (of: ReturnType<typeof sites>, model: number) => of.siteOf({ provider: "a", model: `m${model}` })

const breakDown = ({ circuit }: Site) => {
  for (let n = 0; n < 10; n++) circuit.end(circuit.begin(n), n, "failed")
  assert.strictEqual(circuit.view(10).state, "open")
}

describe("the models of a provider that lists none", () => {
  it("are a thousand at most, also when everything that is asked of it fails", () => {
    const all = sites()
    for (let model = 0; model < 3_000; model++) breakDown(siteOf(all, model))
    assert.strictEqual(all.deskOf("a").sites.size, 1_000)
    assert.isTrue(all.deskOf("a").sites.has("m2999"))
  })

  it("are forgotten when they are in order, rather than when they are not", () => {
    const all = sites()
    const broken = siteOf(all, 0)
    breakDown(broken)
    for (let model = 1; model < 3_000; model++) siteOf(all, model)
    assert.strictEqual(siteOf(all, 0), broken)
  })
})
