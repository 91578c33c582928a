/**
 * The connections of this process to its upstreams: HTTP/1.1, kept alive, one call on each at a time. Each is an undici
 * `Client` of its own and not one of a `Pool`: a call that is given up while it is still connecting can then take its
 * connection with it, and of those that are free the one that was used last is used next.
 */
import { Effect } from "effect"
import type { Scope } from "effect"
import { Socket } from "node:net"
import type { buildConnector, Client, Dispatcher } from "undici"

export interface Connection {
  /** Sends the request, once it is connected. */
  dispatch(request: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): void
  /** The call has been answered to its end: another may have the connection. */
  release(): void
  /** Gives up the call, in whichever phase it is. What the handler is told of that comes too late to matter. */
  drop(): void
}

export interface Connections {
  /**
   * One for the one call that follows, which connects when it is used; undefined when the origin has as many as it may have,
   * or all are closed for good.
   */
  take(origin: string): Connection | undefined
}

/** More than any provider lets work at once: what holds calls back is the governor, this only bounds what its absence would cost. */
const mostPerOrigin = 4_096

/** How long one that is free is kept, unless the server says otherwise. Servers of the field close at 5 seconds (uvicorn) to 75 (nginx). */
const keepAlive = 30_000

interface Origin {
  readonly url: URL
  /** Those that no call has, the last used at the end. */
  readonly free: Array<Kept>
  readonly all: Set<Kept>
}

interface Kept extends Connection {
  isFree: boolean
}

export const make: Effect.Effect<Connections, never, Scope.Scope> = Effect.gen(function* () {
  // Not before it is needed: a command that calls no model need not load it.
  const undici = yield* Effect.promise(() => import("undici"))
  // Shared by all, for the TLS sessions it keeps (100 at most). Its timer is off: the calls have deadlines of their own.
  const connect = undici.buildConnector({ allowH2: false, timeout: 0 })
  // As many as there are origins with a connection.
  const origins = new Map<string, Origin>()
  let isClosed = false

  const originOf = (name: string): Origin => {
    const known = origins.get(name)
    if (known !== undefined) return known
    const origin: Origin = { url: new URL(name), free: [], all: new Set() }
    origins.set(name, origin)
    return origin
  }

  const open = (name: string, origin: Origin): Kept => {
    let connecting: Socket | undefined
    const client: Client = new undici.Client(origin.url, {
      ...options,
      connect: (target, connected) => {
        // It answers with the socket, though its type does not say so.
        const socket: unknown = connect(target, (...result: Parameters<buildConnector.Callback>) => {
          connecting = undefined
          connected(...result)
        })
        if (socket instanceof Socket) connecting = socket
      }
    })
    const forget = () => {
      if (!origin.all.delete(kept)) return
      if (origin.all.size === 0) origins.delete(name)
      const at = kept.isFree ? origin.free.indexOf(kept) : -1
      if (at !== -1) origin.free.splice(at, 1)
      kept.isFree = false
      void client.destroy()
      connecting?.destroy()
    }
    const kept: Kept = {
      isFree: false,
      dispatch: (request, handler) => void client.dispatch(request, handler),
      release: () => {
        if (!origin.all.has(kept)) return
        kept.isFree = true
        origin.free.push(kept)
      },
      drop: forget
    }
    // One that a call has connects anew by itself: the server has closed it before the request left.
    client.on("disconnect", () => {
      if (kept.isFree) forget()
    })
    origin.all.add(kept)
    return kept
  }

  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      isClosed = true
      for (const { all } of origins.values()) for (const kept of all) kept.drop()
    })
  )

  return {
    take: (name) => {
      if (isClosed) return undefined
      const origin = originOf(name)
      const free = origin.free.pop()
      if (free !== undefined) {
        free.isFree = false
        return free
      }
      return origin.all.size < mostPerOrigin ? open(name, origin) : undefined
    }
  }
})

/** undici's own timers are off: the calls have deadlines of their own. */
const options = {
  allowH2: false,
  pipelining: 1,
  headersTimeout: 0,
  bodyTimeout: 0,
  keepAliveTimeout: keepAlive
} satisfies Client.Options
