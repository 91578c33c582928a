/** The time between listening and having somebody to answer. */
import type { Server } from "node:http"

/** Whoever comes before there is somebody to answer waits until it is called: Node forgets a request that nobody listens for. */
export const holdEarly = (server: Server) => {
  // What comes in the few milliseconds until it is called, unread: its headers.
  const early: Array<ReadonlyArray<unknown>> = []
  const { emit } = server
  const pass = (args: ReadonlyArray<unknown>) => Reflect.apply(emit, server, args) as boolean
  server.emit = (...args: ReadonlyArray<unknown>) => {
    if (args[0] !== "request" && args[0] !== "checkContinue") return pass(args)
    return early.push(args) > 0
  }
  return () => {
    server.emit = emit
    for (const args of early.splice(0)) pass(args)
  }
}
