import { borrowed, type FieldKind, num, str, variantReader } from "../../src/core/index.js";
import { jsonFields, type Source, source } from "../../src/operators/engine/index.js";

/** Columns by event type; a query names those it reads. */
const PERSON = { id: num, name: str, emailAddress: str, creditCard: str, city: str, state: str, extra: str };
const AUCTION = {
  id: num,
  itemName: str,
  description: str,
  initialBid: num,
  reserve: num,
  expires: num,
  seller: num,
  category: num,
  extra: str,
};
const BID = { auction: num, bidder: num, price: num, channel: str, url: str, extra: str };

export interface Person {
  readonly event_type: 0;
  readonly dateTime: number;
  readonly id: number;
  readonly name: string;
  readonly city: string;
  readonly state: string;
}

export interface Auction {
  readonly event_type: 1;
  readonly dateTime: number;
  readonly id: number;
  readonly itemName: string;
  readonly description: string;
  readonly initialBid: number;
  readonly reserve: number;
  readonly expires: number;
  readonly seller: number;
  readonly category: number;
  readonly extra: string;
}

export interface Bid {
  readonly event_type: 2;
  readonly dateTime: number;
  readonly auction: number;
  readonly bidder: number;
  readonly price: number;
  readonly channel: string;
  readonly url: string;
  readonly extra: string;
}

export type Event = Person | Auction | Bid;

export interface Reads {
  readonly person?: readonly (keyof typeof PERSON)[];
  readonly auction?: readonly (keyof typeof AUCTION)[];
  readonly bid?: readonly (keyof typeof BID)[];
  /** Texts that are cut up or searched and then let go of. */
  readonly borrowed?: readonly string[];
}

type Kinds = Readonly<Record<string, FieldKind<unknown>>>;

function take(fields: Kinds, names: readonly string[] = [], lent: readonly string[] = []): Kinds {
  const read = (name: string) => (lent.includes(name) ? borrowed(str) : (fields[name] as FieldKind<unknown>));
  return Object.fromEntries(names.map((name) => [name, read(name)]));
}

/** The stream of all events, of which only the columns in `reads` are decoded. */
export function nexmarkSource(reads: Reads, stream = "nexmark"): Source<Event> {
  const { person, auction, bid, borrowed: lent } = reads;
  const variants = { 0: take(PERSON, person, lent), 1: take(AUCTION, auction, lent), 2: take(BID, bid, lent) };
  const reader = variantReader("event_type", { event_type: num, dateTime: num }, variants as never);
  return source<Event>({
    stream,
    decode: jsonFields(reader as never),
    time: ({ dateTime }) => dateTime,
    source: () => "file",
  });
}

export const isPerson = (event: Event): event is Person => event.event_type === 0;
export const isAuction = (event: Event): event is Auction => event.event_type === 1;
export const isBid = (event: Event): event is Bid => event.event_type === 2;
