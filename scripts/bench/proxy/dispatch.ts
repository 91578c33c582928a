/** (b) The floor of Node: undici's `dispatch`, each piece handed on as it comes. */
import { createServer } from "node:http"
import { Pool } from "undici"

const [, , port, upstream] = process.argv
const pool = new Pool(`http://127.0.0.1:${upstream}`, { connections: 4096 })

const server = createServer((request, response) => {
  const parts: Array<Buffer> = []
  request.on("data", (part: Buffer) => parts.push(part))
  request.on("end", () => {
    pool.dispatch(
      {
        path: "/v1/chat/completions",
        method: "POST",
        headers: { "content-type": "application/json", authorization: "Bearer synthetic" },
        body: parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts)
      },
      {
        onRequestStart: (controller) => {
          response.on("close", () => response.writableFinished || controller.abort(new Error("the caller left")))
        },
        onResponseStart: (_, status, headers) => {
          const { "content-length": length, "content-type": type } = headers
          response.writeHead(status, {
            "content-type": String(type),
            ...(length !== undefined && { "content-length": String(length) })
          })
        },
        onResponseData: (_, data) => {
          response.write(data)
        },
        onResponseEnd: () => {
          response.end()
        },
        onResponseError: () => {
          response.destroy()
        }
      }
    )
  })
})
server.listen({ port: Number(port), host: "127.0.0.1", backlog: 4096 })
