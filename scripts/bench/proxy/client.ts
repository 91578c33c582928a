/** The load client's process: does what it is told over IPC, one order at a time. */
import { Connection, type Reply } from "./connection.ts"
import { closedLoop, holdOpen, openLoop, type Seen, type Target } from "./load.ts"

export type Order =
  | { readonly _tag: "Once"; readonly port: number; readonly request: string }
  | {
      readonly _tag: "Closed"
      readonly target: Target
      readonly callers: number
      readonly seconds: number
      readonly spread?: number
    }
  | { readonly _tag: "Open"; readonly target: Target; readonly rate: number; readonly seconds: number }
  | { readonly _tag: "Hold"; readonly target: Target; readonly count: number }
  | { readonly _tag: "Drop" }

export type Result<O extends Order["_tag"]> = O extends "Once"
  ? Reply
  : O extends "Closed" | "Open"
    ? Seen
    : O extends "Drop"
      ? number
      : true

let held: Awaited<ReturnType<typeof holdOpen>> | undefined

const once = async (port: number, request: string) => {
  const connection = await Connection.open(port, true)
  try {
    return await connection.ask(request)
  } finally {
    connection.close()
  }
}

const obey = async (order: Order): Promise<unknown> => {
  switch (order._tag) {
    case "Once":
      return once(order.port, order.request)
    case "Closed":
      return closedLoop(order.target, order.callers, order.seconds, order.spread)
    case "Open":
      return openLoop(order.target, order.rate, order.seconds)
    case "Hold":
      held = await holdOpen(order.target, order.count)
      return true
    case "Drop": {
      const open = held?.open() ?? 0
      held?.drop()
      return open
    }
  }
}

process.on("message", (order: Order) => {
  obey(order).then(
    (value) => process.send?.({ value }),
    (error: unknown) => process.send?.({ error: String(error) })
  )
})
