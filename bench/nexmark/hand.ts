import { Checksum, rowHash } from "./checksum.js";
import type { Bid, Event, Person } from "./events.js";
import { TRAIL_MS } from "./generator.js";
import { QUERIES } from "./queries.js";

/**
 * The queries as a competent programmer would write them by hand over decoded events in order, without an engine: what the op lane
 * is held against. They track the watermark (newest − 4 s, at every thousandth event) and write the same rows.
 */
export const BY_HAND: Readonly<Record<string, (events: readonly Event[]) => Checksum>> = {
  q0: stateless("q0", (bid) => bid),
  q1: stateless("q1", ({ auction, bidder, price, dateTime, extra }) => ({
    auction,
    bidder,
    price: (price * 908) / 1_000,
    dateTime,
    extra,
  })),
  q2: stateless("q2", (bid) => (bid.auction % 123 === 0 ? bid : undefined)),
  q5: hopping,
  q7: highest,
  q8: registered,
};

function every(events: readonly Event[], each: (event: Event) => void, mark: (watermarkMs: number) => void): void {
  let newestMs = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < events.length; i++) {
    const event = events[i] as Event;
    if (event.dateTime > newestMs) newestMs = event.dateTime;
    each(event);
    if ((i + 1) % 1_000 === 0) mark(newestMs - TRAIL_MS);
  }
  mark(newestMs + 40 * 86_400_000);
}

function stateless(name: string, f: (bid: Bid) => unknown): (events: readonly Event[]) => Checksum {
  const hash = rowHash<unknown>(QUERIES[name]?.columns ?? []);
  return (events) => {
    const checksum = new Checksum();
    every(
      events,
      (event) => {
        if (event.event_type !== 2) return;
        const row = f(event);
        if (row !== undefined) checksum.add(hash(row), 1);
      },
      () => undefined,
    );
    return checksum;
  };
}

function hopping(events: readonly Event[]): Checksum {
  const hash = rowHash<unknown>(QUERIES["q5"]?.columns ?? []);
  const checksum = new Checksum();
  const panes = new Map<number, Map<number, number>>();
  let nextEndMs = Number.NEGATIVE_INFINITY;
  const fire = (endMs: number): void => {
    const counts = new Map<number, number>();
    for (let startMs = endMs - 10_000; startMs < endMs; startMs += 2_000) {
      for (const [auction, n] of panes.get(startMs) ?? []) counts.set(auction, (counts.get(auction) ?? 0) + n);
    }
    let most = 0;
    for (const n of counts.values()) if (n > most) most = n;
    const rows = [...counts].filter(([, n]) => n === most).sort(([a], [b]) => a - b);
    for (const [auction, n] of rows) checksum.add(hash({ auction, n, startMs: endMs - 10_000 }), 1);
    panes.delete(endMs - 10_000);
  };
  every(
    events,
    (event) => {
      if (event.event_type !== 2) return;
      const startMs = Math.floor(event.dateTime / 2_000) * 2_000;
      if (nextEndMs === Number.NEGATIVE_INFINITY) nextEndMs = startMs + 2_000;
      let pane = panes.get(startMs);
      if (pane === undefined) {
        pane = new Map();
        panes.set(startMs, pane);
      }
      pane.set(event.auction, (pane.get(event.auction) ?? 0) + 1);
    },
    (watermarkMs) => {
      for (; nextEndMs <= watermarkMs && panes.size > 0; nextEndMs += 2_000) fire(nextEndMs);
    },
  );
  return checksum;
}

function highest(events: readonly Event[]): Checksum {
  const hash = rowHash<unknown>(QUERIES["q7"]?.columns ?? []);
  const checksum = new Checksum();
  const windows = new Map<number, { best: Bid[]; atStart: Bid[] }>();
  let before: { endMs: number; price: number } | undefined;
  every(
    events,
    (event) => {
      if (event.event_type !== 2) return;
      const startMs = Math.floor(event.dateTime / 10_000) * 10_000;
      let window = windows.get(startMs);
      if (window === undefined) {
        window = { best: [], atStart: [] };
        windows.set(startMs, window);
      }
      const price = window.best[0]?.price ?? -1;
      if (event.price > price) window.best = [event];
      else if (event.price === price) window.best.push(event);
      if (event.dateTime === startMs) window.atStart.push(event);
    },
    (watermarkMs) => {
      for (const [startMs, { best, atStart }] of windows) {
        if (startMs + 10_000 > watermarkMs) continue;
        for (const bid of best) checksum.add(hash(bid), 1);
        if (before?.endMs === startMs)
          for (const bid of atStart) if (bid.price === before.price) checksum.add(hash(bid), 1);
        before = { endMs: startMs + 10_000, price: (best[0] as Bid).price };
        windows.delete(startMs);
      }
    },
  );
  return checksum;
}

function registered(events: readonly Event[]): Checksum {
  const hash = rowHash<unknown>(QUERIES["q8"]?.columns ?? []);
  const checksum = new Checksum();
  const windows = new Map<number, { people: Map<number, Person>; sellers: Set<number> }>();
  every(
    events,
    (event) => {
      if (event.event_type === 2) return;
      const startMs = Math.floor(event.dateTime / 10_000) * 10_000;
      let window = windows.get(startMs);
      if (window === undefined) {
        window = { people: new Map(), sellers: new Set() };
        windows.set(startMs, window);
      }
      if (event.event_type === 0) window.people.set(event.id, event);
      else window.sellers.add(event.seller);
    },
    (watermarkMs) => {
      for (const [startMs, { people, sellers }] of windows) {
        if (startMs + 10_000 > watermarkMs) continue;
        for (const [id, { name }] of [...people].sort(([a], [b]) => a - b))
          if (sellers.has(id)) checksum.add(hash({ id, name, startMs }), 1);
        windows.delete(startMs);
      }
    },
  );
  return checksum;
}
