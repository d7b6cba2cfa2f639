import type { Manner } from "./channels/channel.js";
import type { Apart } from "./channels/group.js";
import type { Feed, SubscribedReply, Subscriber } from "./feed.js";
import type { ServerFrame } from "./protocol.js";
import type { WsSocket } from "./transport.js";

/** What a subscription needs of its connection. */
export interface SubscriptionOwner {
  readonly socket: WsSocket;
  /** False when the client was closed instead, because too much was waiting for it. */
  sendFrame(frame: Buffer): boolean;
  answer(frame: ServerFrame): void;
  hasRoom(): boolean;
  room(): Promise<boolean>;
  slow(): void;
  /** The channel's log was replaced, or the channel was interrupted. */
  interrupted(message: string): void;
  unavailable(id: number, message: string): void;
  /** The subscription is over: called once. */
  forget(subscription: Subscription): void;
}

/** What was granted, told back to those who asked for it. */
export type Granted = Pick<Extract<ServerFrame, { op: "subscribed" }>, "delivery" | "everyMs" | "flushMs">;

/** One channel on one connection. */
export class Subscription implements Subscriber {
  readonly channel: string;
  readonly manner: Manner;
  readonly feed: Feed;
  last = 0;
  apart: Apart | undefined = undefined;
  readonly #owner: SubscriptionOwner;
  readonly #id: number;
  readonly #granted: Granted | undefined;
  #active = true;
  #answered = false;

  constructor(
    owner: SubscriptionOwner,
    feed: Feed,
    want: {
      readonly id: number;
      readonly channel: string;
      readonly manner: Manner;
      readonly granted: Granted | undefined;
    },
  ) {
    this.#owner = owner;
    this.feed = feed;
    this.channel = want.channel;
    this.manner = want.manner;
    this.#id = want.id;
    this.#granted = want.granted;
  }

  get socket(): WsSocket {
    return this.#owner.socket;
  }

  isActive(): boolean {
    return this.#active;
  }

  subscribed(reply: SubscribedReply): void {
    this.#answered = true;
    this.#owner.answer({ op: "subscribed", id: this.#id, channel: this.channel, ...reply, ...this.#granted });
  }

  unavailable(message: string): void {
    this.end();
    if (this.#answered) this.#owner.interrupted("the channel was interrupted; reconnect with since");
    else this.#owner.unavailable(this.#id, message);
  }

  replaced(): void {
    this.#owner.interrupted("the log of a channel was replaced; reconnect, offsets start over");
  }

  send(frame: Buffer): boolean {
    return this.#active && this.#owner.sendFrame(frame);
  }

  hasRoom(): boolean {
    return this.#active && this.#owner.hasRoom();
  }

  async room(): Promise<boolean> {
    return this.#active && (await this.#owner.room()) && this.#active;
  }

  slow(): void {
    this.#owner.slow();
  }

  end(): void {
    if (!this.#active) return;
    this.#active = false;
    this.feed.detach(this);
    this.#owner.forget(this);
  }
}
