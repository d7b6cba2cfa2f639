import { randomBytes } from "node:crypto";
import type { Logger, PolledChannel } from "../core/index.js";
import { Channel, type ChannelOptions } from "./channels/channel.js";
import { Entry } from "./channels/entry.js";
import { soon } from "./channels/group.js";
import { channelShape } from "./channels/names.js";
import { createPending } from "./channels/pending.js";
import type { Feed, Subscriber } from "./feed.js";

export interface StateFeedOptions extends Pick<ChannelOptions, "topics" | "metrics" | "maxBufferedBytes"> {
  readonly declaration: PolledChannel;
  /** The whole state; asked for only while somebody is subscribed. */
  readonly read: () => unknown;
  readonly logger: Logger;
}

/**
 * A channel without history: the whole state once every `pollMs`, the newest one at once to a newcomer. Offsets count what was sent
 * since this process started; the epoch is random, so that nobody compares them with another run's.
 */
export function stateFeed({ declaration, read, logger, ...shared }: StateFeedOptions): Feed {
  const shape = channelShape(declaration);
  const epoch = randomBytes(8).toString("hex");
  const key = () => ""; // each state replaces the one before
  const channel = new Channel({ ...shared, name: shape.base, label: shape.base, epoch: () => epoch, key, soon });
  let offset = 0;
  let latest: Entry | undefined;
  let timer: NodeJS.Timeout | undefined;
  let failing = false;
  let closed = false;

  const tick = async () => {
    const startedMs = performance.now();
    try {
      const text = JSON.stringify(await read());
      latest = new Entry(++offset, shape.base, text);
      failing = false;
      channel.push(latest);
    } catch (err) {
      if (!failing) logger.warn({ err, channel: shape.base }, "the state of a channel could not be read");
      failing = true;
    }
    if (closed || channel.size === 0) {
      timer = undefined;
      latest = undefined; // whoever comes next must not be shown an old state
      return;
    }
    timer = setTimeout(() => void tick(), Math.max(0, declaration.pollMs - (performance.now() - startedMs)));
  };
  return {
    declaration,
    shape,
    attach(subscriber: Subscriber, since) {
      const { manner } = subscriber;
      subscriber.last = latest ? latest.offset - 1 : offset;
      subscriber.subscribed({
        epoch,
        offset: subscriber.last,
        history: false,
        ...(since === undefined ? {} : { recovered: false }),
      });
      const isWanted = latest && (manner.filter?.matches(latest.value) ?? true);
      const pending = createPending(manner.delivery, key, shared.maxBufferedBytes);
      if (latest && isWanted) pending.add(latest);
      channel.join(subscriber, manner, { pending });
      channel.flushOne(subscriber);
      if (timer === undefined && !closed) timer = setTimeout(() => void tick(), 0);
    },
    detach: (subscriber) => channel.leave(subscriber),
    reached: (subscriber) => channel.reached(subscriber, offset),
    async close() {
      closed = true;
      clearTimeout(timer);
    },
  };
}
