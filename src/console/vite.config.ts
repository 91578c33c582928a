import { defineConfig } from "vite"

/** Everything in files of its own: the page's policy lets nothing run that stands in the page. */
export default defineConfig({
  root: import.meta.dirname,
  base: "/console/",
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: {
    outDir: "../../dist/page",
    emptyOutDir: true,
    assetsDir: ".",
    assetsInlineLimit: 0,
    modulePreload: false,
    reportCompressedSize: true
  }
})
