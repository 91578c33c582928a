/** Strikes so many times a second: a thread that sleeps until then, finer than a timer and without a busy loop. */
import { parentPort, workerData } from "node:worker_threads"

const { rate } = workerData as { readonly rate: number }
const never = new Int32Array(new SharedArrayBuffer(4))
const began = performance.now()
for (let struck = 1; ; struck++) {
  const wait = began + (struck / rate) * 1000 - performance.now()
  if (wait > 0) Atomics.wait(never, 0, 0, wait)
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has no origin
  parentPort?.postMessage(0)
}
