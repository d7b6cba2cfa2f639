import {
  count,
  custom,
  hopping,
  max,
  mean,
  min,
  pipeline,
  type Stream,
  session,
  sumIntegers,
  type Target,
  type Topology,
  tumbling,
} from "../../src/operators/engine/index.js";
import { type Checksum, rowHash } from "./checksum.js";
import {
  type Auction,
  type Bid,
  type Event,
  isAuction,
  isBid,
  isPerson,
  nexmarkSource,
  type Person,
  type Reads,
} from "./events.js";
import {
  BID_COLUMNS,
  busiest,
  byAuction,
  channelIdOf,
  DAILY_COLUMNS,
  DAY,
  daily,
  expanded,
  isTrade,
  type Mean,
  NO_BIDS,
  OTHER,
  precedes,
  ranked,
  signed,
  slash,
  winning,
} from "./query-parts.js";

/** A Nexmark query on the public API. Rows are written to a checksum; `sign` −1 takes a row back. */
export interface Query {
  readonly reads: Reads;
  /** The columns compared with the oracle. */
  readonly columns: readonly string[];
  /** Where rows of all keys meet in one place: which step that is. */
  readonly gather?: string;
  build(events: Stream<Event>, into: <R>() => Target<R>, topology: Topology): void;
}

export const QUERIES: Readonly<Record<string, Query>> = {
  q0: {
    reads: { bid: ["auction", "bidder", "price", "extra"] },
    columns: BID_COLUMNS,
    build: (events, into) => events.filter(isBid).to(into()),
  },
  q1: {
    reads: { bid: ["auction", "bidder", "price", "extra"] },
    columns: BID_COLUMNS,
    build: (events, into) =>
      events
        .filter(isBid)
        .map(({ auction, bidder, price, dateTime, extra }) => ({
          auction,
          bidder,
          price: (price * 908) / 1_000,
          dateTime,
          extra,
        }))
        .to(into()),
  },
  q2: {
    reads: { bid: ["auction", "price"] },
    columns: ["auction", "price"],
    build: (events, into) =>
      events
        .filter(isBid)
        .filter(({ auction }) => auction % 123 === 0)
        .to(into()),
  },
  q3: {
    reads: { person: ["id", "name", "city", "state"], auction: ["id", "seller", "category"] },
    columns: ["name", "city", "state", "id"],
    build(events, into) {
      const auctions = events
        .filter(isAuction)
        .filter(({ category }) => category === 10)
        .keyBy(({ seller }) => seller);
      const people = events
        .filter(isPerson)
        .filter(({ state }) => state === "OR" || state === "ID" || state === "CA")
        .keyBy(({ id }) => id);
      const for_ever = { beforeMs: Number.POSITIVE_INFINITY, afterMs: Number.POSITIVE_INFINITY };
      auctions
        .joinInterval("sellers", people, {
          ...for_ever,
          combine: ({ id }, { name, city, state }: Person) => ({ name, city, state, id }),
        })
        .to(into());
    },
  },
  q4: {
    reads: { auction: ["id", "expires", "category"], bid: ["auction", "price"] },
    columns: ["category", "avg"],
    gather: "average",
    build: (events, into) =>
      winning(events)
        .values()
        .keyBy(({ auction }) => auction.category)
        .process<Mean, { readonly category: number; readonly avg: number; readonly sign: number }>("average", {
          ttlMs: Number.POSITIVE_INFINITY,
          init: () => ({ total: 0, n: 0 }),
          onEvent({ total, n }, { best, before }, at) {
            if (n > 0) at.emit({ category: at.key as number, avg: total / n, sign: -1 });
            const next = { total: total + best.price - (before?.price ?? 0), n: n + (before === null ? 1 : 0) };
            at.emit({ category: at.key as number, avg: next.total / next.n, sign: 1 });
            return next;
          },
        })
        .to(into()),
  },
  q5: {
    reads: { bid: ["auction"] },
    columns: ["auction", "n", "startMs"],
    gather: "busiest",
    build: (events, into) =>
      events
        .filter(isBid)
        .keyBy(({ auction }) => auction)
        .window("bids", hopping({ sizeMs: 10_000, slideMs: 2_000 }))
        .aggregate({ n: count() })
        .values()
        .keyBy(() => 0)
        .window("busiest", tumbling({ sizeMs: 2_000 }))
        .aggregate({ top: busiest() })
        .flatMap<{ auction: number; n: number; startMs: number }>(({ top, endMs }, emit) => {
          for (const auction of top.auctions) emit({ auction, n: top.n, startMs: endMs - 10_000 });
        })
        .to(into()),
  },
  q7: {
    reads: { bid: ["auction", "bidder", "price", "extra"] },
    columns: BID_COLUMNS,
    gather: "highest",
    build: (events, into) =>
      events
        .filter(isBid)
        .keyBy(() => 0)
        .window("highest", tumbling({ sizeMs: 10_000 }))
        .aggregate({
          best: custom<Bid, readonly Bid[], readonly Bid[]>({
            name: "highest bids",
            init: () => NO_BIDS,
            add: (held, bid) => {
              const price = held[0]?.price ?? -1;
              return bid.price > price ? [bid] : bid.price === price ? [...held, bid] : held;
            },
            result: (held) => held,
          }),
          // A bid at the very end of a window belongs to the next one, but still counts for this one's price.
          atStart: custom<Bid, readonly Bid[], readonly Bid[]>({
            name: "bids of the first ms",
            init: () => NO_BIDS,
            add: (held, bid) => (bid.dateTime % 10_000 === 0 ? [...held, bid] : held),
            result: (held) => held,
          }),
        })
        .lag("previous", { ttlMs: 60_000 })
        .flatMap<Bid>(({ value, before }, emit) => {
          for (const bid of value.best) emit(bid);
          if (before === undefined || before.endMs !== value.startMs) return;
          for (const bid of value.atStart) if (bid.price === before.best[0]?.price) emit(bid);
        })
        .to(into()),
  },
  q8: {
    reads: { person: ["id", "name"], auction: ["seller"] },
    columns: ["id", "name", "startMs"],
    build: (events, into) =>
      events
        .filter((event): event is Person | Auction => event.event_type !== 2)
        .keyBy((event) => (event.event_type === 0 ? event.id : event.seller))
        .window("registered", tumbling({ sizeMs: 10_000 }))
        .aggregate({
          name: custom<Person | Auction, string | null, string | null>({
            name: "name",
            init: () => null,
            add: (name, event) => (event.event_type === 0 ? event.name : name),
            result: (name) => name,
          }),
          auctions: sumIntegers<Person | Auction>((event) => event.event_type),
        })
        .filter(({ name, auctions }) => name !== null && auctions > 0)
        .map(({ key, name, startMs }) => ({ id: key, name, startMs }))
        .to(into()),
  },
  q9: {
    reads: {
      auction: ["id", "itemName", "description", "initialBid", "reserve", "expires", "seller", "category", "extra"],
      bid: ["auction", "bidder", "price"],
    },
    columns: [
      "id",
      "itemName",
      "description",
      "initialBid",
      "reserve",
      "dateTime",
      "expires",
      "seller",
      "category",
      "extra",
      "bidder",
      "price",
      "bidTime",
    ],
    build: (events, into) =>
      winning(events)
        .flatMap<Auction & { bidder: number; price: number; bidTime: number; sign: number }>(
          ({ auction, best, before }, emit) => {
            if (before !== null)
              emit({ ...auction, bidder: before.bidder, price: before.price, bidTime: before.dateTime, sign: -1 });
            emit({ ...auction, bidder: best.bidder, price: best.price, bidTime: best.dateTime, sign: 1 });
          },
        )
        .to(into()),
  },
  q11: {
    reads: { bid: ["bidder"] },
    columns: ["key", "n", "startMs", "endMs"],
    build: (events, into) =>
      events
        .filter(isBid)
        .keyBy(({ bidder }) => bidder)
        .window("sessions", session({ gapMs: 10_000 }))
        .aggregate({ n: count() })
        .to(into()),
  },
  q13: {
    reads: { bid: ["auction", "bidder", "price"] },
    columns: ["auction", "bidder", "price", "dateTime", "value"],
    build(events, into, topology) {
      const side = topology.table<string>("side", {
        kind: "side",
        read: (body) => body as { key: number; value: string },
      });
      events
        .filter(isBid)
        .lookup(
          side,
          ({ auction }) => auction % 10_000,
          ({ auction, bidder, price, dateTime }, value) => ({ auction, bidder, price, dateTime, value }),
        )
        .filter(({ value }) => value !== undefined)
        .to(into());
    },
  },
  q14: {
    reads: { bid: ["auction", "bidder", "price", "extra"] },
    columns: ["auction", "bidder", "price", "part", "dateTime", "extra", "c"],
    build: (events, into) =>
      events
        .filter(isBid)
        .filter(({ price }) => price * 908 > 1e9 && price * 908 < 5e10)
        .map(({ auction, bidder, price, dateTime, extra }) => {
          const hour = Math.floor(dateTime / 3_600_000) % 24;
          const part = hour >= 8 && hour <= 18 ? "dayTime" : hour <= 6 || hour >= 20 ? "nightTime" : "otherTime";
          let c = 0;
          for (let i = extra.indexOf("c"); i >= 0; i = extra.indexOf("c", i + 1)) c++;
          return { auction, bidder, price: (price * 908) / 1_000, part, dateTime, extra, c };
        })
        .to(into()),
  },
  q15: {
    reads: { bid: ["auction", "bidder", "price"] },
    columns: ["startMs", ...DAILY_COLUMNS],
    gather: "day",
    build: (events, into) =>
      events
        .filter(isBid)
        .keyBy(() => 0)
        .window("day", tumbling({ sizeMs: DAY }))
        .aggregate(daily())
        .to(into()),
  },
  q16: {
    reads: { bid: ["auction", "bidder", "price", "channel"] },
    columns: ["key", "startMs", "minute", ...DAILY_COLUMNS],
    build: (events, into) =>
      events
        .filter(isBid)
        .keyBy(({ channel }) => channel)
        .window("day", tumbling({ sizeMs: DAY }))
        .aggregate({ minute: max<Bid>(({ dateTime }) => Math.floor((dateTime % DAY) / 60_000)), ...daily() })
        .to(into()),
  },
  q17: {
    reads: { bid: ["auction", "price"] },
    columns: ["key", "startMs", "total", "rank1", "rank2", "rank3", "low", "high", "mean", "sum"],
    build: (events, into) =>
      events
        .filter(isBid)
        .keyBy(({ auction }) => auction)
        .window("day", tumbling({ sizeMs: DAY }))
        .aggregate({
          total: count(),
          rank1: sumIntegers<Bid>((bid) => (bid.price < 10_000 ? 1 : 0)),
          rank2: sumIntegers<Bid>((bid) => (bid.price >= 10_000 && bid.price < 1_000_000 ? 1 : 0)),
          rank3: sumIntegers<Bid>((bid) => (bid.price >= 1_000_000 ? 1 : 0)),
          low: min("price"),
          high: max("price"),
          mean: mean("price"),
          sum: sumIntegers("price"),
        })
        .to(into()),
  },
  q18: {
    reads: { bid: ["auction", "bidder", "price", "channel", "url", "extra"] },
    columns: ["auction", "bidder", "price", "channel", "url", "dateTime", "extra"],
    build: (events, into) =>
      events
        .filter(isBid)
        .keyBy(({ auction, bidder }) => bidder * 0x400_0000 + auction)
        .process<Bid | null, Bid & { readonly sign: number }>("last", {
          ttlMs: Number.POSITIVE_INFINITY,
          init: () => null,
          onEvent(last, bid, at) {
            if (last !== null && bid.dateTime < last.dateTime) return last;
            if (last !== null) at.emit(signed(last, -1));
            at.emit(signed(bid, 1));
            return bid;
          },
        })
        .to(into()),
  },
  q19: {
    reads: { bid: ["auction", "bidder", "price", "extra"] },
    columns: [...BID_COLUMNS, "rank"],
    build: (events, into) =>
      events
        .filter(isBid)
        .keyBy(({ auction }) => auction)
        .process<readonly Bid[], Bid & { readonly rank: number; readonly sign: number }>("top", {
          ttlMs: Number.POSITIVE_INFINITY,
          init: () => NO_BIDS,
          onEvent(top, bid, at) {
            let place = top.length;
            while (place > 0 && precedes(bid, top[place - 1] as Bid)) place--;
            if (place >= 10) return top;
            const next = [...top.slice(0, place), bid, ...top.slice(place, 9)];
            for (let i = place; i < next.length; i++) {
              const before = top[i];
              if (before !== undefined) at.emit(ranked(before, i + 1, -1));
              at.emit(ranked(next[i] as Bid, i + 1, 1));
            }
            return next;
          },
        })
        .to(into()),
  },
  q20: {
    reads: {
      auction: ["id", "itemName", "description", "initialBid", "reserve", "expires", "seller", "category", "extra"],
      bid: ["auction", "bidder", "price", "channel", "url", "extra"],
    },
    columns: [
      "auction",
      "bidder",
      "price",
      "channel",
      "url",
      "bidTime",
      "bidExtra",
      "itemName",
      "description",
      "initialBid",
      "reserve",
      "dateTime",
      "expires",
      "seller",
      "category",
      "extra",
    ],
    build: (events, into) =>
      events
        .filter(isTrade)
        .keyBy(byAuction)
        .process<{ readonly auction: Auction | null; readonly early: readonly Bid[] }, object>("expanded", {
          ttlMs: Number.POSITIVE_INFINITY,
          init: () => ({ auction: null, early: NO_BIDS }),
          onEvent(state, event, at) {
            if (event.event_type === 1) {
              for (const bid of state.early) if (event.category === 10) at.emit(expanded(bid, event));
              return { auction: event.category === 10 ? event : OTHER, early: NO_BIDS };
            }
            if (state.auction === null) return { auction: null, early: [...state.early, event] };
            if (state.auction.category === 10) at.emit(expanded(event, state.auction));
            return state;
          },
        })
        .to(into()),
  },
  q21: {
    reads: { bid: ["auction", "bidder", "price", "channel", "url"], borrowed: ["url"] },
    columns: ["auction", "bidder", "price", "channel", "channelId"],
    build: (events, into) =>
      events
        .filter(isBid)
        .map(({ auction, bidder, price, channel, url }) => ({
          auction,
          bidder,
          price,
          channel,
          channelId: channelIdOf(channel, url),
        }))
        .filter(({ channelId }) => channelId !== null)
        .to(into()),
  },
  q22: {
    reads: { bid: ["auction", "bidder", "price", "channel", "url"], borrowed: ["url"] },
    columns: ["auction", "bidder", "price", "channel", "dir1", "dir2", "dir3"],
    build: (events, into) =>
      events
        .filter(isBid)
        .map(({ auction, bidder, price, channel, url }) => {
          const a = slash(url, 0, 3);
          const b = url.indexOf("/", a);
          const c = url.indexOf("/", b + 1);
          const d = url.indexOf("/", c + 1);
          return {
            auction,
            bidder,
            price,
            channel,
            dir1: url.slice(a, b),
            dir2: url.slice(b + 1, c),
            dir3: url.slice(c + 1, d),
          };
        })
        .to(into()),
  },
};

/** The query as a topology that writes its rows to `checksum`. */
export function nexmarkTopology(name: string, checksum: Checksum): Topology {
  const query = QUERIES[name];
  if (query === undefined)
    throw new RangeError(`there is no query ${name}; known are ${Object.keys(QUERIES).join(", ")}`);
  const hash = rowHash<unknown>(query.columns);
  const into = <R>(): Target<R> => ({
    stream: "",
    write: (row) => {
      checksum.add(hash(row), (row as { sign?: number }).sign ?? 1);
      return undefined;
    },
  });
  const topology = pipeline(`nexmark.${name}`);
  query.build(topology.from(nexmarkSource(query.reads)), into, topology);
  return topology;
}
