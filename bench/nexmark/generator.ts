/**
 * The Nexmark event stream, written afresh from the public definition and seeded: the same seed gives the same bytes, so that
 * every engine reads the same file. In a cycle of 50 events: 1 person, 3 auctions, 46 bids.
 */

export interface GeneratorOptions {
  readonly events: number;
  readonly seed: number;
  /** Events per second of event time. @default 10 000 */
  readonly ratePerS?: number;
  /** Ratio of events moved back by up to 4 s, and by 10 to 30 s (late). @default 0 */
  readonly disorder01?: number;
  readonly late01?: number;
}

/** One line of the file: an event, or a promise that no earlier event follows. */
export type Line =
  | { readonly kind: "event"; readonly json: string; readonly timeMs: number }
  | { readonly kind: "mark"; readonly timeMs: number };

export const BASE_MS = Date.UTC(2026, 0, 1);
/** The watermark trails the newest event by so much. */
export const TRAIL_MS = 4_000;
/** A mark after so many events. */
export const MARK_EVERY = 1_000;

const FIRST_ID = 1_000;
const CITIES = [
  "Phoenix",
  "Los Angeles",
  "San Francisco",
  "Boise",
  "Portland",
  "Bend",
  "Redmond",
  "Seattle",
  "Kent",
  "Cheyenne",
];
const STATES = ["AZ", "CA", "ID", "OR", "WA", "WY"];
const FIRST = ["Peter", "Paul", "Luke", "John", "Saul", "Vicky", "Kate", "Julie", "Sarah", "Deiter", "Walter"];
const LAST = ["Shultz", "Abrams", "Spencer", "White", "Bartels", "Walton", "Smith", "Jones", "Noris"];
const CHANNELS = ["Google", "Facebook", "Baidu", "Apple"];
const LETTERS = "abcdefghijklmnopqrstuvwxyz";

/** sfc32: fast, small, passes the usual test batteries. */
export function random(seed: number): () => number {
  let [a, b, c, d] = [0x9e3779b9, 0x243f6a88, seed | 0, 1];
  const next = (): number => {
    const t = (((a + b) | 0) + d) | 0;
    d = (d + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + t) | 0;
    return (t >>> 0) / 0x1_0000_0000;
  };
  for (let i = 0; i < 12; i++) next();
  return next;
}

/** Yields events and, after every thousandth, a mark; the last mark ends everything. */
export function* generate({
  events,
  seed,
  ratePerS = 10_000,
  disorder01 = 0,
  late01 = 0,
}: GeneratorOptions): Generator<Line> {
  const chance = random(seed);
  const below = (n: number): number => Math.floor(chance() * n);
  const text = (length: number): string => {
    let made = "";
    for (let i = 0; i < length; i++) made += below(13) === 0 ? " " : LETTERS[below(26)];
    return made;
  };
  const timeOf = (i: number): number => BASE_MS + Math.floor((i * 1_000) / ratePerS);
  const price = (): number => Math.round(100 * 10 ** (6 * chance()));
  const urls = CHANNELS.map(() => `https://www.nexmark.com/${path()}/item.htm?query=1`);
  function path(): string {
    return [text(5), text(5), text(5)].map((part) => part.replaceAll(" ", "_")).join("/");
  }
  const lastPerson = (i: number): number => Math.floor(i / 50);
  const lastAuction = (i: number): number => {
    const offset = (i % 50) - 1;
    return offset < 0 ? 3 * (Math.floor(i / 50) - 1) + 2 : 3 * Math.floor(i / 50) + Math.min(offset, 2);
  };
  const somePerson = (i: number): number => {
    const newest = lastPerson(i);
    const active = Math.min(newest, 1_000);
    return newest - active + below(active + 10);
  };
  const extra = (used: number, average: number): string => {
    const missing = average - used;
    if (missing <= 0) return "";
    const spread = Math.round(missing * 0.2);
    return text(missing - spread + below(2 * spread + 1));
  };

  function person(i: number, timeMs: number): object {
    const name = `${FIRST[below(11)]} ${LAST[below(9)]}`;
    const digits = (): string => String(below(10_000)).padStart(4, "0");
    const creditCard = `${digits()} ${digits()} ${digits()} ${digits()}`;
    const emailAddress = `${text(7).replaceAll(" ", "_")}@${text(5).replaceAll(" ", "_")}.com`;
    const own = {
      event_type: 0,
      id: FIRST_ID + lastPerson(i),
      name,
      emailAddress,
      creditCard,
      city: CITIES[below(10)],
      state: STATES[below(6)],
      dateTime: timeMs,
    };
    return { ...own, extra: extra(8 + name.length + 19 + emailAddress.length + 20, 200) };
  }

  function auction(i: number, timeMs: number): object {
    const itemName = text(3 + below(17));
    const description = text(3 + below(97));
    const initialBid = price();
    const horizonMs = timeOf(i + 1_666) - timeOf(i);
    const newest = lastPerson(i);
    const seller = FIRST_ID + (below(4) > 0 ? Math.floor(newest / 100) * 100 : somePerson(i));
    const own = {
      event_type: 1,
      id: FIRST_ID + lastAuction(i),
      itemName,
      description,
      initialBid,
      reserve: initialBid + price(),
      dateTime: timeMs,
      expires: timeMs + 1 + below(2 * horizonMs),
      seller,
      category: 10 + below(5),
    };
    return { ...own, extra: extra(8 + itemName.length + description.length + 8 * 6, 500) };
  }

  function bid(i: number, timeMs: number): object {
    const newest = lastAuction(i);
    const active = Math.min(newest, 100);
    const hot = below(2) === 0;
    const on = FIRST_ID + (hot ? Math.floor(newest / 100) * 100 : newest - active + below(active + 1 + 10));
    const people = lastPerson(i);
    // The upstream generator adds the first id twice, so bidders begin at 2000.
    const bidder = 2 * FIRST_ID + (below(4) > 0 ? Math.floor(people / 100) * 100 + 1 : somePerson(i));
    const cost = price();
    const known = below(2) === 0;
    const place = below(known ? 4 : 10_000);
    const channel = known ? (CHANNELS[place] as string) : `channel-${place}`;
    const url = known
      ? (urls[place] as string)
      : `https://www.nexmark.com/${path()}/item.htm?query=1${below(10) > 0 ? `&channel_id=${place}` : ""}`;
    const own = { event_type: 2, auction: on, bidder, price: cost, channel, url, dateTime: timeMs };
    return { ...own, extra: extra(8 * 4, 100) };
  }

  let newestMs = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < events; i++) {
    let timeMs = timeOf(i);
    const luck = disorder01 + late01 > 0 ? chance() : 1;
    if (luck < late01) timeMs -= 10_000 + below(20_001);
    else if (luck < late01 + disorder01) timeMs -= below(4_001);
    if (timeMs > newestMs) newestMs = timeMs;
    const place = i % 50;
    const event = place === 0 ? person(i, timeMs) : place < 4 ? auction(i, timeMs) : bid(i, timeMs);
    yield { kind: "event", json: JSON.stringify(event), timeMs };
    if ((i + 1) % MARK_EVERY === 0) yield { kind: "mark", timeMs: newestMs - TRAIL_MS };
  }
  yield { kind: "mark", timeMs: newestMs + 40 * 86_400_000 };
}
