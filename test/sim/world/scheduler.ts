/**
 * Virtual time. Everything that happens in the simulated world is an event of this queue; between two events all that follows from
 * the first one (promise reactions) is done. So one seed gives one order of everything, and an hour takes milliseconds.
 */
export class Scheduler {
  nowMs = 0;
  #events = 0;
  /** A binary heap by (time, order of scheduling). */
  readonly #heap: { readonly atMs: number; readonly order: number; readonly run: () => void }[] = [];

  /** Events so far. */
  get events(): number {
    return this.#events;
  }

  after(ms: number, run: () => void): void {
    const heap = this.#heap;
    let i = heap.length;
    const event = { atMs: this.nowMs + Math.max(0, ms), order: this.#order++, run };
    heap.push(event);
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (!isBefore(event, heap[parent] as typeof event)) break;
      heap[i] = heap[parent] as typeof event;
      i = parent;
    }
    heap[i] = event;
  }

  #order = 0;

  /** Runs events until `done` says so, virtual time is over `untilMs`, or nothing is left. */
  async run(untilMs: number, done: () => boolean = () => false): Promise<void> {
    await settled();
    while (!done()) {
      const event = this.#heap[0];
      if (event === undefined || event.atMs > untilMs) return;
      this.#pop();
      this.nowMs = event.atMs;
      this.#events++;
      event.run();
      await settled();
    }
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop() as (typeof heap)[number];
    if (heap.length === 0) return;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1] as typeof last, heap[child] as typeof last)) child++;
      if (!isBefore(heap[child] as typeof last, last)) break;
      heap[i] = heap[child] as typeof last;
      i = child;
    }
    heap[i] = last;
  }
}

/** Every promise reaction that can run has run: the next turn of the event loop comes only then. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function isBefore(a: { atMs: number; order: number }, b: { atMs: number; order: number }): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}
