/** The live events of the console: looks once a second, while somebody watches, at what has changed. */
import { Clock, Context, Effect, Latch, Layer, Random, Schedule, Schema, Semaphore } from "effect"
import { Acquisition } from "../acquisition/Acquisition.ts"
import { Predictor } from "../acquisition/Predictor.ts"
import type { TraceSummary } from "../contract/console.ts"
import { type Member, Roster } from "../domain/roster.ts"
import type { TokenId } from "../domain/Token.ts"
import { TokenPool } from "../pool/TokenPool.ts"
import type { StoreUnavailable } from "../store/Store.ts"
import type { Trace } from "../traffic/trace.ts"
import { Traces } from "../traffic/Traces.ts"
import { type Message, Mailbox } from "./mailbox.ts"
import { countNew } from "./newest.ts"
import { Overview } from "./Overview.ts"
import { fingerprint, shown } from "./shownToken.ts"

export const mostStreams = 20

export class StreamRefused extends Schema.TaggedError<StreamRefused>()("StreamRefused", {
  reason: Schema.Literals(["full", "closing"])
}) {
  override get message() {
    return this.reason === "full"
      ? `there are ${mostStreams} streams of events already: close one`
      : "the server is shutting down"
  }
}

export interface Watcher {
  /** Asked once a second: when not, the stream ends. While that cannot be told, it goes on. */
  readonly mayGoOn: Effect.Effect<boolean, StoreUnavailable>
  /** It has taken nothing for a minute, and is to be cut off. Never throws. */
  readonly cut: () => void
}

export interface Feed {
  /** Waits for what is next, in the form of server-sent events; undefined when the stream is over. One asks at a time. */
  readonly next: Effect.Effect<string | undefined>
  /** Ends it; once is enough. */
  readonly close: () => void
}

export class Live extends Context.Service<
  Live,
  {
    /**
     * A stream of events that begins with a whole snapshot. It is the caller's to close. At most 20 at once; each holds at most
     * 500 events that are not yet taken, and then begins anew with a snapshot.
     */
    open(watcher: Watcher): Effect.Effect<Feed, StreamRefused>
    /** Ends all streams, and refuses new ones. */
    readonly end: () => void
    readonly watching: () => number
  }
>()("weirgate/overview/Live") {
  static readonly layer: Layer.Layer<Live, never, Acquisition | Overview | Predictor | TokenPool | Traces> =
    Layer.effect(
      Live,
      Effect.suspend(() => make)
    )
}

const heartbeatAfter = 15_000
/** As long as a streamed answer waits for its client. */
const patience = 60_000
/** More than a second has; what is beyond it is told from the list. */
const newestLooked = 100
/** Tokens told of at once; the others are told of a second later. */
const tokensAtOnce = 200
/** Of the history in each overview but the first: the step that goes on, and the one before, which has just been finished. */
const newestSteps = 2

class Stream implements Member {
  place = -1
  readonly mailbox = new Mailbox()
  readonly something = Latch.makeUnsafe(true)
  readonly watcher: Watcher
  isOver = false
  /** When it last took something, or had to be given a sign of life. */
  heardAt: number

  constructor(watcher: Watcher, at: number) {
    this.watcher = watcher
    this.heardAt = at
  }
}

const make = Effect.gen(function* () {
  const acquisition = yield* Acquisition
  const overview = yield* Overview
  const pool = yield* TokenPool
  const predictor = yield* Predictor
  const traces = yield* Traces
  // Tells the events of this process from those of the one before.
  const origin = (yield* Random.nextIntBetween(0, 0xff_ff_ff)).toString(16)
  let ordinal = 0
  // At most `mostStreams`.
  const streams = new Roster<Stream>()
  const looking = yield* Semaphore.make(1)
  let isClosing = false

  // What was seen at the last look, while somebody watches.
  let overviewSeen = ""
  let decisionsSeen: ReadonlyArray<string> = []
  let tracesSeen = 0
  // As many as there are tokens.
  let tokensSeen = new Map<TokenId, string>()

  const close = (stream: Stream) => {
    stream.isOver = true
    streams.delete(stream)
    stream.something.openUnsafe()
  }

  const put = (message: Message) => streams.each(({ mailbox }) => mailbox.put(message))
  /** What one look has found is written at once. */
  const wake = Effect.sync(() =>
    streams.each(({ mailbox, something }) => {
      if (!mailbox.isEmpty) something.openUnsafe()
    })
  )

  /** While the store is away there are none to be told of; they are told of once it is back. */
  const decisions = Effect.map(
    Effect.orElseSucceed(acquisition.decisions(newestLooked), () => undefined),
    (decisions) => decisions?.map((decision) => JSON.stringify(decision))
  )

  /** What there is already, the snapshot and the lists tell: only what changes from now on is an event. */
  const begin = Effect.gen(function* () {
    overviewSeen = ""
    decisionsSeen = (yield* decisions) ?? []
    tracesSeen = traces.since(tracesSeen, 0).mark
    tokensSeen = new Map((yield* pool.list()).map((view) => [view.id, fingerprint(view)]))
  })

  const lookAtOverview = Effect.gen(function* () {
    const now = yield* overview.read(newestSteps)
    const { at: _at, uptime: _uptime, ...rest } = now
    const text = JSON.stringify(rest)
    if (text === overviewSeen) return
    overviewSeen = text
    put({ event: "overview", data: JSON.stringify(now) })
  })

  const lookAtDecisions = Effect.gen(function* () {
    const now = yield* decisions
    if (now === undefined) return
    const fresh = now.slice(0, countNew(decisionsSeen, now)).toReversed()
    decisionsSeen = now
    for (const data of fresh) put({ event: "decision", data })
  })

  const lookAtTraces = Effect.sync(() => {
    const { fresh, mark } = traces.since(tracesSeen, newestLooked)
    tracesSeen = mark
    for (const trace of fresh) put({ event: "request", data: JSON.stringify(summaryOf(trace)) })
  })

  const lookAtTokens = Effect.gen(function* () {
    const views = yield* pool.list()
    const prints = new Map(views.map((view) => [view.id, fingerprint(view)]))
    const changed = views.filter(({ id }) => prints.get(id) !== tokensSeen.get(id)).slice(0, tokensAtOnce)
    for (const view of changed) {
      const { id, kind, provider } = view
      const prediction = yield* predictor.predict({ provider, kind, token: id })
      put({ event: "token", data: JSON.stringify(shown(view, prediction)) })
      tokensSeen.set(id, prints.get(id) ?? "")
    }
    for (const id of [...tokensSeen.keys()].filter((id) => !prints.has(id)).slice(0, tokensAtOnce)) {
      put({ event: "token", data: JSON.stringify({ id, removed: true }) })
      tokensSeen.delete(id)
    }
  })

  /** Ends those that may not go on, and those that take nothing. */
  const review = Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    const all: Array<Stream> = []
    streams.each((stream) => void all.push(stream))
    for (const stream of all) {
      const { mailbox, watcher } = stream
      if (!(yield* Effect.orElseSucceed(watcher.mayGoOn, () => true))) {
        close(stream)
      } else if (mailbox.isEmpty && now - stream.heardAt >= heartbeatAfter) {
        stream.heardAt = now
        mailbox.heartbeat()
      } else if (!mailbox.isEmpty && now - stream.heardAt >= patience) {
        close(stream)
        watcher.cut()
      }
    }
  })

  const look = Effect.gen(function* () {
    if (streams.size === 0) return
    yield* review
    if (streams.size === 0) return
    yield* lookAtDecisions
    yield* lookAtTraces
    yield* lookAtTokens
    yield* lookAtOverview
  }).pipe(
    Effect.ensuring(wake),
    looking.withPermit,
    Effect.catchCause((cause) => Effect.logError("the console's events are late", cause)),
    Effect.annotateLogs({ service: "Live" })
  )
  yield* Effect.forkScoped(Effect.schedule(look, Schedule.spaced("1 second")))
  const end = () => {
    isClosing = true
    streams.each(close)
  }
  yield* Effect.addFinalizer(() => Effect.sync(end))

  const written = ({ data, event }: Message) => `id: ${origin}-${++ordinal}\nevent: ${event}\ndata: ${data}\n\n`

  const next = (stream: Stream): Effect.Effect<string | undefined> =>
    Effect.gen(function* () {
      while (!stream.isOver) {
        const taken = stream.mailbox.take()
        if (taken === undefined) {
          stream.something.closeUnsafe()
          yield* stream.something.await
          continue
        }
        stream.heardAt = yield* Clock.currentTimeMillis
        if (taken._tag === "Snapshot") {
          return written({ event: "overview", data: JSON.stringify(yield* overview.read()) })
        }
        const text = taken.messages.map(written).join("")
        return taken.isHeartbeat ? `: still here\n\n${text}` : text
      }
      return undefined
    })

  return Live.of({
    open: (watcher) =>
      Effect.gen(function* () {
        if (isClosing) return yield* new StreamRefused({ reason: "closing" })
        if (streams.size >= mostStreams) return yield* new StreamRefused({ reason: "full" })
        if (streams.size === 0) yield* begin
        const stream = new Stream(watcher, yield* Clock.currentTimeMillis)
        streams.add(stream)
        return { next: next(stream), close: () => close(stream) }
      }).pipe(looking.withPermit),
    end,
    watching: () => streams.size
  })
})

export const summaryOf = ({ steps: _steps, ...summary }: Trace): TraceSummary => summary
