/** An outcome as one HTML file that needs nothing else: no network, no server, no second file. */
import { Effect, FileSystem, type PlatformError } from "effect"
import { createHash } from "node:crypto"
import { fileURLToPath } from "node:url"
import type { Outcome } from "./outcome.ts"
import { draw } from "./report/draw.ts"
import { html, jsonIn, Markup } from "./report/markup.ts"
import { bodyOf, titleOf } from "./report/page.ts"
import { queuePlot, usePlots, waitPlot } from "./report/plots.ts"
import { style } from "./report/style.ts"

/**
 * Reads the plotting library's two files and waits for nothing else. The same outcome gives the same file, of some 100 to 200
 * KB. It opens from `file://`; its policy lets the browser run and style by what is in it only, and load nothing.
 */
export const htmlOf: (outcome: Outcome) => Effect.Effect<string, PlatformError.PlatformError, FileSystem.FileSystem> =
  Effect.fnUntraced(function* (outcome) {
    const fs = yield* FileSystem.FileSystem
    const library = (file: string) => fs.readFileString(fileURLToPath(import.meta.resolve(`uplot/dist/${file}`)))
    const plots = { queue: queuePlot(outcome), use: usePlots(outcome), waits: waitPlot(outcome) }
    const drawn = [plots.queue, ...plots.use, plots.waits].map(({ plot }) => plot)
    const styles = [yield* library("uPlot.min.css"), style].map((text) => inlined("style", text))
    const scripts = [yield* library("uPlot.iife.min.js"), `(${draw})(uPlot, window)`].map((text) =>
      inlined("script", text)
    )
    const policy = [
      "default-src 'none'",
      `script-src ${scripts.map(({ source }) => source).join(" ")}`,
      `style-src ${styles.map(({ source }) => source).join(" ")}`,
      "base-uri 'none'",
      "form-action 'none'"
    ].join("; ")
    return html`<!doctype html>
      <html lang="en">
        <head>
          <meta charset="utf-8" />
          <meta http-equiv="Content-Security-Policy" content="${policy}" />
          <meta name="viewport" content="width=device-width, initial-scale=1" />
          <meta name="color-scheme" content="light dark" />
          <meta name="referrer" content="no-referrer" />
          <title>${titleOf(outcome)}</title>
          ${styles.map(({ markup }) => markup)}
        </head>
        <body>
          ${bodyOf(outcome, plots)}
          <script type="application/json" id="plots">
            ${jsonIn(drawn)}
          </script>
          ${scripts.map(({ markup }) => markup)}
        </body>
      </html> `.text
  })

/** An element with this text in it, and the Content-Security-Policy source that is this text to the byte and no other. */
const inlined = (element: "style" | "script", text: string) => ({
  markup: new Markup(`<${element}>${text}</${element}>`),
  source: `'sha256-${createHash("sha256").update(text).digest("base64")}'`
})
