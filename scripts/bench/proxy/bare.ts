/** (a) A bare `node:http` server that forwards with undici's `Pool.request` and pipes the answer back. */
import { createServer } from "node:http"
import { Pool } from "undici"

const [, , port, upstream] = process.argv
const pool = new Pool(`http://127.0.0.1:${upstream}`, { connections: 4096 })

const server = createServer(async (request, response) => {
  const parts: Array<Buffer> = []
  for await (const part of request) parts.push(part)
  const answer = await pool.request({
    path: "/v1/chat/completions",
    method: "POST",
    headers: { "content-type": "application/json", authorization: "Bearer synthetic" },
    body: Buffer.concat(parts)
  })
  response.writeHead(answer.statusCode, { "content-type": String(answer.headers["content-type"]) })
  answer.body.pipe(response)
})
server.listen({ port: Number(port), host: "127.0.0.1", backlog: 4096 })
