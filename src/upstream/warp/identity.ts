/** Who we say we are. The truth, and the same for every token. */
import { release, type } from "node:os"
import { version } from "../../version.ts"

export interface ClientIdentity {
  readonly version: string
  readonly os: { readonly category: string; readonly name: string; readonly version: string }
}

const categories: Readonly<Record<string, string>> = { Darwin: "macOS", Windows_NT: "Windows" }

export const ownIdentity = (): ClientIdentity => {
  const category = categories[type()] ?? type()
  return { version: `v${version}`, os: { category, name: category, version: release() } }
}

export const identityHeaders = ({ os, version }: ClientIdentity): Readonly<Record<string, string>> => ({
  "user-agent": `weirgate/${version.slice(1)}`,
  "x-warp-client-id": "weirgate",
  "x-warp-client-version": version,
  "x-warp-os-category": os.category,
  "x-warp-os-name": os.name,
  "x-warp-os-version": os.version
})
