/** Where an upstream is: what may stand in a base URL, and whom a request reaches there. */

/** A path of the sandbox that this server runs or uses, wherever that listens: `sandbox:/nvidia1/v1`. */
export const sandboxScheme = "sandbox:"

const endpoint = /(\/chat\/completions|\/completions|\/embeddings|\/responses)\/*$/

/** Undefined for one that can be used; never repeats the text, which may hold a password. */
export const whyNotBaseUrl = (text: string): string | undefined => {
  const url = URL.parse(text)
  if (url === null) return "it is not a URL"
  if (url.username !== "" || url.password !== "") return "it holds credentials; keys have a place of their own"
  // An empty one counts as well: what is put after it would not be path.
  if (/[?#]/.test(text)) return "it has a query or a fragment"
  if (endpoint.test(url.pathname)) return `leave ${endpoint.exec(url.pathname)?.[1]} out: it is added to each call`
  if (url.protocol !== sandboxScheme) return undefined
  return /^sandbox:\/[^/]/.test(text) ? undefined : "after sandbox: stands a path, such as sandbox:/nvidia1/v1"
}

/** As it is written before a path: without a slash at its end. Of a URL that can be used. */
export const normalBaseUrl = (text: string): string => {
  const url = new URL(text)
  const path = url.pathname.replace(/\/+$/, "")
  return url.protocol === sandboxScheme ? `${sandboxScheme}${path}` : `${url.origin}${path}`
}

export const isSandboxUrl = (text: string) => text.startsWith(sandboxScheme)

/**
 * Whom a request reaches: `own` is this machine, `near` a network that is not the internet by its address or by its name (one
 * without a dot is a neighbour's, as in a compose file or a cluster), `far` everyone else.
 */
export const reachOf = (baseUrl: string): "own" | "near" | "far" => {
  const { hostname, protocol } = new URL(baseUrl)
  if (protocol === sandboxScheme || isLoopback(hostname)) return "own"
  return isPrivate(hostname) ? "near" : "far"
}

/** `URL` has brought addresses to their normal form. */
const isLoopback = (host: string) => host === "localhost" || host === "[::1]" || /^127(\.\d+){3}$/.test(host)

const privateNetworks = [
  /^10(\.\d+){3}$/,
  /^172\.(1[6-9]|2\d|3[01])(\.\d+){2}$/,
  /^192\.168(\.\d+){2}$/,
  /^169\.254(\.\d+){2}$/,
  // Shared by a carrier or an overlay network (RFC 6598).
  /^100\.(6[4-9]|[7-9]\d|1[01]\d|12[0-7])(\.\d+){2}$/,
  /^\[f[cd][\da-f]{2}:/,
  /^\[fe[89ab][\da-f]:/
]
const privateNames = /(^[^.:]+|\.(localhost|local|lan|internal|home\.arpa|svc|cluster\.local))$/

const isPrivate = (host: string) => privateNames.test(host) || privateNetworks.some((network) => network.test(host))
