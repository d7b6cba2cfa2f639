import { count, custom, distinctExact, type Stream, sumIntegers } from "../../src/operators/engine/index.js";
import type { Auction, Bid, Event } from "./events.js";

/** What several queries share: Nexmark's ideas (the winning bid, price bands, the busiest auctions) and the shapes of rows. */

export const DAY = 86_400_000;
export const BID_COLUMNS = ["auction", "bidder", "price", "dateTime", "extra"] as const;

interface Valid {
  readonly auction: Auction | null;
  readonly best: Bid | null;
  readonly early: readonly Bid[];
}

export const byAuction = (event: Auction | Bid): number => (event.event_type === 1 ? event.id : event.auction);
export const isTrade = (event: Event): event is Auction | Bid => event.event_type !== 0;

function better(bid: Bid, best: Bid | null): boolean {
  return best === null || bid.price > best.price || (bid.price === best.price && bid.dateTime < best.dateTime);
}

/** The best valid bid of each auction as it changes: q4 and q9 begin with it. Bids may come before their auction. */
export function winning(events: Stream<Event>) {
  return events
    .filter(isTrade)
    .keyBy(byAuction)
    .process<Valid, { readonly auction: Auction; readonly best: Bid; readonly before: Bid | null }>("winning", {
      ttlMs: 60_000,
      init: () => ({ auction: null, best: null, early: [] }),
      onEvent(state, event, at) {
        if (event.event_type === 2) {
          const { auction, best } = state;
          if (auction === null) return { auction, best, early: [...state.early, event] };
          if (event.dateTime < auction.dateTime || event.dateTime > auction.expires || !better(event, best))
            return state;
          at.emit({ auction, best: event, before: best });
          return { auction, best: event, early: NO_BIDS };
        }
        let best: Bid | null = null;
        for (const bid of state.early) {
          if (bid.dateTime < event.dateTime || bid.dateTime > event.expires || !better(bid, best)) continue;
          at.emit({ auction: event, best: bid, before: best });
          best = bid;
        }
        return { auction: event, best, early: NO_BIDS };
      },
    });
}

export const NO_BIDS: readonly Bid[] = [];

export interface Mean {
  readonly total: number;
  readonly n: number;
}

interface Top {
  readonly n: number;
  readonly auctions: readonly number[];
}

/** The keys with the largest count among window rows, ties kept. */
export function busiest() {
  return custom<{ readonly key: number; readonly n: number }, Top, Top>({
    name: "busiest",
    init: () => ({ n: 0, auctions: [] }),
    add: (top, { key, n }) =>
      n > top.n ? { n, auctions: [key] } : n === top.n ? { n, auctions: [...top.auctions, key] } : top,
    result: (top) => top,
  });
}

const band =
  (low: number, high: number) =>
  ({ price }: Bid): boolean =>
    price >= low && price < high;
const BANDS = [band(0, 10_000), band(10_000, 1_000_000), band(1_000_000, Number.POSITIVE_INFINITY)] as const;

/** Totals and distinct bidders and auctions, of all bids and by price. */
export function daily() {
  const inBand =
    (n: number) =>
    (bid: Bid): number =>
      BANDS[n]?.(bid) ? 1 : 0;
  const bidderIn =
    (n: number) =>
    (bid: Bid): number | null =>
      BANDS[n]?.(bid) ? bid.bidder : null;
  const auctionIn =
    (n: number) =>
    (bid: Bid): number | null =>
      BANDS[n]?.(bid) ? bid.auction : null;
  return {
    total_bids: count(),
    rank1_bids: sumIntegers(inBand(0)),
    rank2_bids: sumIntegers(inBand(1)),
    rank3_bids: sumIntegers(inBand(2)),
    total_bidders: distinctExact<Bid>(({ bidder }) => bidder),
    rank1_bidders: distinctExact(bidderIn(0)),
    rank2_bidders: distinctExact(bidderIn(1)),
    rank3_bidders: distinctExact(bidderIn(2)),
    total_auctions: distinctExact<Bid>(({ auction }) => auction),
    rank1_auctions: distinctExact(auctionIn(0)),
    rank2_auctions: distinctExact(auctionIn(1)),
    rank3_auctions: distinctExact(auctionIn(2)),
  };
}

export const DAILY_COLUMNS = ["bids", "bidders", "auctions"].flatMap((what) =>
  ["total", "rank1", "rank2", "rank3"].map((rank) => `${rank}_${what}`),
);

/** Stands for an auction of another category: its columns are not needed. */
export const OTHER = { category: 0 } as Auction;

export function slash(url: string, from: number, nth: number): number {
  let at = from;
  for (let i = 0; i < nth; i++) at = url.indexOf("/", at) + 1;
  return at;
}

const CHANNEL_IDS: Readonly<Record<string, string>> = { apple: "0", google: "1", facebook: "2", baidu: "3" };

export function channelIdOf(channel: string, url: string): string | null {
  const known = CHANNEL_IDS[channel.toLowerCase()];
  if (known !== undefined) return known;
  const at = url.search(/[&?]channel_id=/);
  if (at < 0) return null;
  const from = url.indexOf("=", at) + 1;
  const to = url.indexOf("&", from);
  return to < 0 ? url.slice(from) : url.slice(from, to);
}

export function precedes(a: Bid, b: Bid): boolean {
  return a.price > b.price || (a.price === b.price && a.dateTime < b.dateTime);
}

export function signed(
  { event_type, auction, bidder, price, channel, url, dateTime, extra }: Bid,
  sign: number,
): Bid & { readonly sign: number } {
  return { event_type, auction, bidder, price, channel, url, dateTime, extra, sign };
}

export function ranked(
  { event_type, auction, bidder, price, channel, url, dateTime, extra }: Bid,
  rank: number,
  sign: number,
): Bid & { readonly rank: number; readonly sign: number } {
  return { event_type, auction, bidder, price, channel, url, dateTime, extra, rank, sign };
}

export function expanded(bid: Bid, auction: Auction): object {
  const { auction: id, bidder, price, channel, url, dateTime: bidTime, extra: bidExtra } = bid;
  const { itemName, description, initialBid, reserve, dateTime, expires, seller, category, extra } = auction;
  return {
    auction: id,
    bidder,
    price,
    channel,
    url,
    bidTime,
    bidExtra,
    itemName,
    description,
    initialBid,
    reserve,
    dateTime,
    expires,
    seller,
    category,
    extra,
  };
}
