import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { spawnSync } from "node:child_process"
import { mkdtempSync, readFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

/** Whatever would leave the process, or listen, throws. */
const noNetwork = `
import net from "node:net"
import dgram from "node:dgram"
const refuse = () => { throw new Error("a simulation used the network") }
net.Socket.prototype.connect = refuse
net.Server.prototype.listen = refuse
dgram.createSocket = refuse
`

const simulate = (...args: ReadonlyArray<string>) => {
  const { status, stderr, stdout } = spawnSync(
    process.execPath,
    [
      "--import",
      `data:text/javascript,${encodeURIComponent(noNetwork)}`,
      "src/main.ts",
      "simulate",
      "--trace",
      "scripts/traces/azure-llm-code-2023.csv",
      "--config",
      "scripts/five-providers.json",
      ...args
    ],
    { encoding: "utf8" }
  )
  return { status, stdout, stderr }
}

const Printed = Schema.fromJsonString(
  Schema.Struct({
    requests: Schema.Struct({ asked: Schema.Int, answered: Schema.Int }),
    leastMeanWaitMs: Schema.Finite,
    figures: Schema.Array(Schema.Struct({ name: Schema.String, value: Schema.Finite, met: Schema.Boolean }))
  })
)

describe("weirgate simulate", () => {
  it.effect(
    "meets D3's five figures on an hour of real traffic, prints the same twice, and needs no network",
    () =>
      Effect.gen(function* () {
        const [once, again] = [simulate("--json", "--check"), simulate("--json", "--check")]
        assert.deepStrictEqual([once.status, once.stderr], [0, ""])
        assert.strictEqual(again.stdout, once.stdout)
        const { figures, leastMeanWaitMs, requests } = yield* Schema.decodeEffect(Printed)(once.stdout)
        assert.deepStrictEqual(requests, { asked: 8_819, answered: 8_819 })
        assert.strictEqual(figures.length, 5)
        assert.isTrue(figures.every(({ met }) => met))
        const wait = figures.find(({ name }) => name === "mean wait")?.value ?? 0
        assert.isBelow(wait, 1.1 * leastMeanWaitMs)
      }),
    60_000
  )

  it("fails with --check when a figure is missed, and writes a page that needs nothing else", () => {
    const page = join(mkdtempSync(join(tmpdir(), "weirgate-simulate-")), "report.html")
    const { status, stderr, stdout } = simulate("--load", "0.8", "--check", "--report", page)
    assert.strictEqual(status, 1)
    assert.include(stdout + stderr, "missed: mean wait")
    assert.include(stdout, "✗  mean wait")
    assert.notMatch(readFileSync(page, "utf8"), /(src|href)="(https?:)?\/\//)
  }, 60_000)
})
