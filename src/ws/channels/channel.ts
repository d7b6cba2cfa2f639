import type { DeliveryClass } from "../../core/index.js";
import type { GatewayMetrics } from "../metrics.js";
import type { WsTopic } from "../transport.js";
import type { Encoding } from "./encoding.js";
import type { Entry } from "./entry.js";
import type { CompiledFilter } from "./filter.js";
import { type Arrival, Group, type Member } from "./group.js";

/** How a subscription wants a channel. Equal ones share a group. */
export interface Manner {
  readonly encoding: Encoding;
  readonly filter: CompiledFilter | undefined;
  readonly delivery: DeliveryClass;
  readonly everyMs: number;
}

export interface ChannelOptions {
  readonly name: string;
  /** The channel as a label of counters: from a closed set. */
  readonly label: string;
  readonly epoch: () => string;
  readonly key: (entry: Entry) => string;
  readonly topics: (encoding: Encoding) => WsTopic;
  readonly soon: (flush: () => void) => void;
  readonly maxBufferedBytes: number;
  readonly metrics: GatewayMetrics;
}

interface Screen {
  readonly filter: CompiledFilter | undefined;
  readonly groups: Map<string, Group>;
}

/** One name clients subscribe to: its groups, by filter, so that a filter is asked once a record however many wait for the answer. */
export class Channel {
  readonly #options: ChannelOptions;
  readonly #screens = new Map<string, Screen>();
  readonly #groups = new Map<Member, Group>();
  /** Offset of the last record known; a replay that has passed it may go live. */
  tail = 0;
  /** False until somebody looked for the last record that was there before. */
  isTailKnown = false;

  constructor(options: ChannelOptions) {
    this.#options = options;
  }

  get name(): string {
    return this.#options.name;
  }

  get size(): number {
    return this.#groups.size;
  }

  members(): Iterable<Member> {
    return this.#groups.keys();
  }

  push(entry: Entry): void {
    this.tail = entry.offset;
    for (const { filter, groups } of this.#screens.values()) {
      if (filter && !filter.matches(entry.value)) continue;
      for (const group of groups.values()) group.push(entry);
    }
  }

  join(member: Member, manner: Manner, arrival?: Arrival): void {
    const { filter, encoding, delivery, everyMs } = manner;
    const screenKey = filter?.key ?? "";
    const screen = this.#screens.get(screenKey) ?? { filter, groups: new Map<string, Group>() };
    this.#screens.set(screenKey, screen);
    const groupKey = `${encoding.name} ${delivery} ${everyMs}`;
    const group = screen.groups.get(groupKey) ?? this.#group(manner);
    screen.groups.set(groupKey, group);
    this.#groups.set(member, group);
    group.join(member, arrival);
  }

  leave(member: Member): void {
    const group = this.#groups.get(member);
    if (!group) return;
    this.#groups.delete(member);
    group.leave(member);
    if (group.size > 0) return;
    for (const [screenKey, { groups }] of this.#screens) {
      for (const [groupKey, one] of groups) if (one === group) groups.delete(groupKey);
      if (groups.size === 0) this.#screens.delete(screenKey);
    }
  }

  /** At once, what waits for this member alone. */
  flushOne(member: Member): void {
    this.#groups.get(member)?.flushOne(member);
  }

  /** Up to where this member was sent everything; undefined when it has not joined yet. */
  reached(member: Member, position: number): number | undefined {
    return this.#groups.get(member)?.reached(member, position);
  }

  #group({ encoding, delivery, everyMs }: Manner): Group {
    const { name, label, epoch, key, topics, soon, maxBufferedBytes, metrics } = this.#options;
    return new Group({
      channel: name,
      epoch,
      encoding,
      delivery,
      everyMs,
      key,
      topic: topics(encoding),
      maxBufferedBytes,
      soon,
      sent: (frames, bytes) => metrics.frames(label, frames, bytes),
      dropped: (reason, count) => metrics.dropped(label, reason, count),
    });
  }
}
