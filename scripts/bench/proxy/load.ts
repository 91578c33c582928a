/** How a server is loaded, and what the caller sees of it. */
import { setTimeout as sleep } from "node:timers/promises"
import { Worker } from "node:worker_threads"
import { percentile } from "../statistics.ts"
import { Connection, type Reply } from "./connection.ts"

export interface Target {
  readonly port: number
  /** The request as it goes over the wire. */
  readonly request: string
  /** What every answer must have; anything else is an error. */
  readonly expect: { readonly status: number; readonly length: number }
}

export interface Seen {
  readonly answered: number
  /** Also those that were not counted. */
  readonly asked: number
  readonly errors: number
  readonly error: string | undefined
  readonly seconds: number
  /** Milliseconds from the (intended) sending until the last byte, and until the first of the answer itself. */
  readonly p50: number
  readonly p99: number
  readonly first50: number
  readonly first99: number
  /** Of an open loop: `p99` with its beginning. */
  readonly cold99: number
}

class Record {
  readonly #whole: Array<number> = []
  readonly #first: Array<number> = []
  #errors = 0
  #error: string | undefined

  answered(reply: Reply, { expect }: Target, since: number) {
    if (reply.status !== expect.status || reply.length !== expect.length) {
      this.failed(new Error(`status ${reply.status} with ${reply.length} bytes instead of ${expect.length}`))
      return
    }
    this.#whole.push(performance.now() - since)
    this.#first.push(reply.firstAt - since)
  }

  failed(error: Error) {
    this.#errors++
    this.#error ??= error.message
  }

  seen(since: number, uncounted = 0): Seen {
    const seconds = (performance.now() - since) / 1000
    const whole = Float64Array.from(this.#whole).toSorted()
    const first = Float64Array.from(this.#first).toSorted()
    return {
      answered: whole.length,
      asked: whole.length + uncounted,
      errors: this.#errors,
      error: this.#error,
      seconds,
      p50: percentile(whole, 0.5),
      p99: percentile(whole, 0.99),
      first50: percentile(first, 0.5),
      first99: percentile(first, 0.99),
      cold99: percentile(whole, 0.99)
    }
  }
}

const open = (port: number, count: number) => Promise.all(Array.from({ length: count }, () => Connection.open(port)))

/** As many callers as connections; each asks again as soon as it is answered. They begin one by one over `spread` seconds. */
export const closedLoop = async (target: Target, callers: number, seconds: number, spread = 0): Promise<Seen> => {
  const connections = await open(target.port, callers)
  const record = new Record()
  const began = performance.now()
  const until = began + seconds * 1000
  const caller = async (connection: Connection, i: number) => {
    if (spread > 0) await sleep((i / callers) * spread * 1000)
    while (connection.isOpen) {
      const since = performance.now()
      if (since >= until) return
      try {
        record.answered(await connection.ask(target.request), target, since)
      } catch (error) {
        record.failed(error as Error)
      }
    }
  }
  await Promise.all(connections.map(caller))
  const seen = record.seen(began)
  for (const connection of connections) connection.close()
  return seen
}

/**
 * Seconds of an open loop that are counted apart: a server that has rested has closed its connections to the upstream, and the line
 * while it opens them again is all that the 99th percentile of a few seconds would show.
 */
const lead = 1

/** Connections that are opened for an open loop at the most; beyond them requests wait, and the wait counts. */
const mostConnections = 1_024

/**
 * So many requests a second, whether the server keeps up or not. Latency counts from when a request should have been sent, so a
 * server that stalls pays for all that it held up.
 */
export const openLoop = async (target: Target, rate: number, seconds: number): Promise<Seen> => {
  const idle = await open(target.port, 64)
  const opened = new Set(idle)
  const record = new Record()
  const all = new Record()
  const uncounted = Math.round(rate * lead)
  const total = uncounted + Math.round(rate * seconds)
  const waiting: Array<number> = []
  let sent = 0
  let ended = 0
  const finished = Promise.withResolvers<void>()
  const metronome = new Worker(new URL("metronome.ts", import.meta.url), { workerData: { rate } })
  await new Promise((resolve) => metronome.once("online", resolve))
  const began = performance.now()
  const counted = began + (uncounted / rate) * 1000

  const serve = async (connection: Connection, since: number) => {
    try {
      const reply = await connection.ask(target.request)
      all.answered(reply, target, since)
      if (since >= counted) record.answered(reply, target, since)
    } catch (error) {
      record.failed(error as Error)
    }
    if (++ended === total) return finished.resolve()
    const next = waiting.shift()
    if (!connection.isOpen) opened.delete(connection)
    else if (next === undefined) idle.push(connection)
    else void serve(connection, next)
  }
  const more = async () => {
    const connection = await Connection.open(target.port)
    opened.add(connection)
    const since = waiting.shift()
    if (since === undefined) idle.push(connection)
    else void serve(connection, since)
  }
  metronome.on("message", () => {
    const due = Math.min(total, 1 + Math.floor(((performance.now() - began) / 1000) * rate))
    for (; sent < due; sent++) {
      const since = began + (sent / rate) * 1000
      // The one that has rested longest, so that none rests until the server closes it.
      const connection = idle.shift()
      if (connection !== undefined) {
        void serve(connection, since)
        continue
      }
      waiting.push(since)
      if (opened.size < mostConnections) more().catch((error: unknown) => record.failed(error as Error))
    }
  })
  await finished.promise
  const seen = { ...record.seen(counted, uncounted), cold99: all.seen(began).p99 }
  await metronome.terminate()
  for (const connection of opened) connection.close()
  return seen
}

/** Opens so many streams that say something and then wait. */
export const holdOpen = async (target: Target, count: number) => {
  const held: Array<Connection> = []
  // A few hundred at a time: connecting all at once is another test.
  while (held.length < count) {
    const next = await open(target.port, Math.min(200, count - held.length))
    await Promise.all(
      next.map(
        (connection) =>
          new Promise<void>((resolve, reject) => {
            connection.ask(target.request, resolve).then(() => reject(new Error("a waiting stream has ended")), reject)
          })
      )
    )
    held.push(...next)
  }
  return {
    drop: () => held.forEach((connection) => connection.close()),
    open: () => held.filter(({ isOpen }) => isOpen).length
  }
}
