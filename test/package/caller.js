import assert from "node:assert/strict"
import { createServer } from "node:http"
import { connect, TokenFault, WeirgateError } from "weirgate/client"

const reports = []
let lent = 0
const server = createServer(async (request, response) => {
  const answer = (status, body) =>
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify({ code: status, ...body }))
  if (request.url === "/api/token/report") {
    reports.push(JSON.parse((await Array.fromAsync(request)).join("")))
    const data = { id: "token-1", name: "Token-1", provider: "wopan", state: "active" }
    return answer(200, { success: true, message: "taken", data })
  }
  if (request.url !== "/api/token/get?strategy=best") {
    return answer(403, { success: false, error: "not with this key", type: "role_not_allowed", param: null })
  }
  const n = ++lent
  const data = { token: `synthetic-token-${n}`, name: `Token-${n}`, id: `token-${n}`, provider: "wopan" }
  const until = { lease_expires_at: "2026-01-01T00:00:00Z", expires_at: null }
  return answer(200, { success: true, data: { ...data, lease: `lease-${n}`, ...until } })
})
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve))

const weirgate = connect({ baseUrl: `http://127.0.0.1:${server.address().port}`, apiKey: "wg-synthetic-key" })
const used = await weirgate.withToken("best", async ({ token }) => {
  if (lent === 1) throw new TokenFault({ outcome: "quota_exhausted" })
  return token
})
await assert.rejects(weirgate.tokens.stats(), (error) => error instanceof WeirgateError && error.status === 403)
await weirgate.close()
server.close()
process.stdout.write(JSON.stringify({ used, reported: reports.map(({ lease, outcome }) => [lease, outcome]) }))
