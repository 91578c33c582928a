/** Where a request comes from, when a proxy that the operator trusts has passed it on. Pure. */

/**
 * The last address that no trusted proxy has: what stands before it in `X-Forwarded-For` anyone may have written. Without trusted
 * proxies that is who is connected.
 */
export const originOf = (peer: string, forwardedFor: string | undefined, trusted: ReadonlySet<string>): string => {
  const hops = [...(forwardedFor ?? "").split(","), peer].map(normal)
  const stranger = hops.findLast((hop) => !trusted.has(hop))
  const origin = stranger ?? hops[0]
  return origin === undefined || origin === "" ? normal(peer) : origin
}

/** An IPv4 address as a socket that speaks both writes it, and with the port that some proxies add. */
const normal = (address: string): string =>
  address
    .trim()
    .replace(/^::ffff:(?=\d+\.)/i, "")
    .replace(/^(\d+\.\d+\.\d+\.\d+):\d+$/, "$1")
    .slice(0, longest)

/** Of IPv6, with its zone. */
const longest = 64
