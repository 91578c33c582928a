/** (d) A raw pipe: a `node:http` server that pipes the upstream's response, and nothing but Node's own client. */
import { Agent, createServer, request as ask } from "node:http"

const [, , port, upstream] = process.argv
const agent = new Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY, maxFreeSockets: 4096 })

const server = createServer((request, response) => {
  const { "content-length": length, "content-type": type } = request.headers
  const asked = ask(
    {
      agent,
      host: "127.0.0.1",
      port: Number(upstream),
      path: "/v1/chat/completions",
      method: "POST",
      headers: { "content-type": type, "content-length": length, authorization: "Bearer synthetic" }
    },
    (answer) => {
      response.writeHead(answer.statusCode ?? 502, { "content-type": answer.headers["content-type"] })
      answer.pipe(response)
    }
  )
  asked.on("error", () => response.destroy())
  response.on("close", () => response.writableFinished || asked.destroy())
  request.pipe(asked)
})
server.listen({ port: Number(port), host: "127.0.0.1", backlog: 4096 })
