import { randomBytes } from "node:crypto";
import type { Logger } from "../core/index.js";
import { Entry, type Feed, fanOut, type Subscriber } from "./feed.js";
import type { GatewayMetrics } from "./metrics.js";

export interface StateFeedOptions {
  readonly name: string;
  readonly everyMs: number;
  /** The whole state; asked for only while somebody is subscribed. */
  readonly read: () => unknown;
  readonly metrics: GatewayMetrics;
  readonly logger: Logger;
}

/**
 * A channel without history: the whole state once every `everyMs`, the newest one at once to a newcomer. Offsets count what was sent
 * since this process started; the epoch is random, so that nobody compares them with another run's.
 */
export function stateFeed({ name, everyMs, read, metrics, logger }: StateFeedOptions): Feed {
  const epoch = randomBytes(8).toString("hex");
  const live = new Set<Subscriber>();
  let offset = 0;
  let latest: Entry | undefined;
  let timer: NodeJS.Timeout | undefined;
  let failing = false;
  let closed = false;

  const send = (entry: Entry, to: Iterable<Subscriber>) => {
    const { frames, bytes } = fanOut([entry], to);
    metrics.frames(name, frames, bytes);
  };
  const tick = async () => {
    const startedMs = performance.now();
    try {
      const body = JSON.stringify(await read());
      latest = new Entry(name, ++offset, body);
      failing = false;
      send(latest, live);
    } catch (err) {
      if (!failing) logger.warn({ err, channel: name }, "the state of a channel could not be read");
      failing = true;
    }
    if (closed || live.size === 0) {
      timer = undefined;
      latest = undefined; // whoever comes next must not be shown an old state
      return;
    }
    timer = setTimeout(() => void tick(), Math.max(0, everyMs - (performance.now() - startedMs)));
  };
  return {
    name,
    attach(subscriber, { since }) {
      subscriber.last = latest ? latest.offset - 1 : offset;
      const answer = since === undefined ? {} : { recovered: false };
      subscriber.subscribed({ epoch, offset: subscriber.last, history: false, ...answer });
      live.add(subscriber);
      if (latest) send(latest, [subscriber]);
      if (timer === undefined && !closed) {
        timer = setTimeout(() => void tick(), 0);
      }
    },
    detach: (subscriber) => live.delete(subscriber),
    async close() {
      closed = true;
      clearTimeout(timer);
      live.clear();
    },
  };
}
