import { assert, describe, it } from "@effect/vitest"
import { Duration, Schema } from "effect"
import { nameOf, type Provider, type Route, type Target } from "../../src/domain/Provider.ts"
import { offerOf } from "../../src/traffic/routing.ts"
import { warpModels } from "../../src/upstream/warp/models.ts"

const second = Duration.seconds(1)
const common = {
  limits: { concurrency: "unknown", rpm: "unknown", tpm: "unlimited" },
  timeouts: { connect: second, headers: second, firstToken: second, idle: second, total: second }
} as const
const openai = (name: string, models?: ReadonlyArray<string>): Provider => ({
  ...common,
  kind: "openai",
  name,
  baseUrl: "http://127.0.0.1:1",
  keys: [],
  models
})
const warp = (models?: ReadonlyArray<string>): Provider => ({ ...common, kind: "warp", name: "warp", models })
const target = (written: string): Target => {
  const [provider = "", ...model] = written.split("/")
  return { provider, model: model.join("/") }
}
const route = (model: string, ...targets: ReadonlyArray<string>): Route => ({ model, targets: targets.map(target) })
const resolved = (providers: ReadonlyArray<Provider>, routes: ReadonlyArray<Route>, model: string) =>
  offerOf(providers, routes).resolve(model)?.map(nameOf)

describe("an offer", () => {
  it("serves a model by all providers that list it, in their order, and by one that is named", () => {
    const providers = [openai("b", ["x", "y"]), openai("a", ["x"])]
    assert.deepStrictEqual(resolved(providers, [], "x"), ["b/x", "a/x"])
    assert.deepStrictEqual(resolved(providers, [], "y"), ["b/y"])
    assert.deepStrictEqual(resolved(providers, [], "a/x"), ["a/x"])
    assert.isUndefined(resolved(providers, [], "a/y"))
    assert.isUndefined(resolved(providers, [], "z"))
  })

  it("follows the configuration first", () => {
    const providers = [openai("a", ["x", "y"]), openai("b", ["x"])]
    const routes = [route("x", "b/x"), route("a/y", "b/x"), route("expert", "a/y", "b/x")]
    assert.deepStrictEqual(resolved(providers, routes, "x"), ["b/x"])
    assert.deepStrictEqual(resolved(providers, routes, "a/y"), ["b/x"])
    assert.deepStrictEqual(resolved(providers, routes, "expert"), ["a/y", "b/x"])
    assert.deepStrictEqual(
      offerOf(providers, routes).routes.map(({ model }) => model),
      ["x", "a/y", "expert", "y", "a/x", "b/x"]
    )
  })

  it("takes a name that is one provider's own and says another provider for the latter", () => {
    const providers = [openai("router", ["openai/gpt"]), openai("openai", ["gpt"])]
    assert.deepStrictEqual(resolved(providers, [], "openai/gpt"), ["openai/gpt"])
    assert.deepStrictEqual(offerOf(providers, []).resolve("openai/gpt"), [{ provider: "openai", model: "gpt" }])
    assert.deepStrictEqual(offerOf(providers, []).resolve("router/openai/gpt"), [
      { provider: "router", model: "openai/gpt" }
    ])
  })

  it("asks a provider that lists nothing for anything, when it is named", () => {
    const providers = [openai("a"), openai("b", ["x"])]
    assert.deepStrictEqual(offerOf(providers, []).resolve("a/meta/llama"), [{ provider: "a", model: "meta/llama" }])
    for (const model of ["meta/llama", "llama", "a", "a/", "/a", "", "b/y"]) {
      assert.isUndefined(resolved(providers, [], model), model)
    }
  })

  it("asks the only provider for any name, if it lists nothing", () => {
    assert.deepStrictEqual(resolved([openai("a")], [], "llama"), ["a/llama"])
    assert.deepStrictEqual(offerOf([openai("a")], []).resolve("meta/llama"), [{ provider: "a", model: "meta/llama" }])
    assert.deepStrictEqual(offerOf([openai("a")], []).resolve("a/llama"), [{ provider: "a", model: "llama" }])
    assert.isUndefined(resolved([openai("a")], [], ""))
    assert.isUndefined(resolved([openai("a", ["x"])], [], "llama"))
  })

  it("has Warp's own models where none are listed for it, and no others", () => {
    const offer = offerOf([warp()], [])
    assert.includeMembers(
      offer.routes.map(({ model }) => model),
      [...warpModels, ...warpModels.map((model) => `warp/${model}`)]
    )
    assert.isUndefined(offer.resolve("gpt-2"))
    assert.isUndefined(offer.resolve("warp/gpt-2"))
    assert.isUndefined(offerOf([warp(["auto"])], []).resolve("o3"))
  })

  it("knows no name by accident", () => {
    for (const model of ["constructor", "__proto__", "toString"]) {
      assert.isUndefined(resolved([openai("a", ["x"])], [], model))
    }
  })

  const Name = Schema.Literals(["a", "b", "c"])
  const Model = Schema.Literals(["x", "y", "a/x", "b/y", "x/y"])
  const Listing = Schema.Struct({ name: Name, models: Schema.UndefinedOr(Schema.Array(Model)) })
  const Configured = Schema.Struct({ model: Model, targets: Schema.NonEmptyArray(Model) })
  const Listings = Schema.Array(Listing).check(Schema.isMaxLength(4))
  const Routes = Schema.Array(Configured).check(Schema.isMaxLength(3))
  const asked = ["x", "y", "z", "a", "a/x", "a/y", "a/z", "b/y", "b/b/y", "c/a/x", "c/x/y", "x/y", "a/", "/x", ""]

  /** Goes through the rules one by one, each time for one name. */
  const naively = (
    providers: ReadonlyArray<Provider>,
    routes: ReadonlyArray<Route>,
    model: string
  ): ReadonlyArray<Target> | undefined => {
    const written = routes.find((route) => route.model === model)
    if (written !== undefined) return written.targets
    for (const { name, models } of providers) {
      for (const listed of models ?? []) if (`${name}/${listed}` === model) return [{ provider: name, model: listed }]
    }
    const listing = providers.filter(({ models }) => models?.includes(model) === true)
    if (listing.length > 0) return listing.map(({ name }) => ({ provider: name, model }))
    const open = providers.filter(({ models }) => models === undefined)
    const said = open.find(({ name }) => model.startsWith(`${name}/`) && model.length > name.length + 1)
    if (said !== undefined) return [{ provider: said.name, model: model.slice(said.name.length + 1) }]
    const [only, ...others] = providers
    if (only === undefined || others.length > 0 || only.models !== undefined || model === "") return undefined
    return [{ provider: only.name, model }]
  }

  it.prop(
    "says of each name what going through the rules one by one says",
    [Listings, Routes],
    ([listings, written]) => {
      const providers = [...new Map(listings.map(({ models, name }) => [name, openai(name, models)])).values()]
      const routes = written.map(({ model, targets }) => route(model, ...targets))
      const offer = offerOf(providers, routes)
      for (const model of asked) assert.deepStrictEqual(offer.resolve(model), naively(providers, routes, model), model)
    }
  )

  it.prop("lists each name once, with whom it resolves to, and only providers it has", [Listings], ([listings]) => {
    const offer = offerOf(
      listings.map(({ models, name }) => openai(name, models)),
      []
    )
    const names = offer.routes.map(({ model }) => model)
    assert.lengthOf(new Set(names), names.length)
    for (const { model, targets } of offer.routes) {
      assert.strictEqual(offer.resolve(model), targets)
      assert.lengthOf(new Set(targets.map(nameOf)), targets.length)
      for (const { model: own, provider } of targets) {
        assert.isTrue(offer.providers.get(provider)?.models?.includes(own))
      }
    }
  })
})
