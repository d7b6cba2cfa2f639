import type { ChannelDeclaration } from "../core/index.js";
import type { Manner } from "./channels/channel.js";
import type { Member } from "./channels/group.js";
import type { ChannelShape } from "./channels/names.js";

/** Where a client stopped listening. */
export interface Since {
  readonly offset: number;
  /** Undefined in the older form of the request: the log is taken to be the same. */
  readonly epoch?: string | undefined;
}

export interface SubscribedReply {
  readonly epoch: string;
  readonly offset: number;
  readonly history?: false;
  readonly recovered?: boolean;
  readonly state?: true;
}

/** A subscription as channels see it. */
export interface Subscriber extends Member {
  /** The name it was asked for by: one of the declaration's. */
  readonly channel: string;
  readonly manner: Manner;
  /** False once unsubscribed or disconnected. */
  isActive(): boolean;
  /** The request is granted; called before the first event. */
  subscribed(reply: SubscribedReply): void;
  /** The request cannot be granted now. The subscription is over. */
  unavailable(message: string): void;
  /** True when a replay may send on. */
  hasRoom(): boolean;
  /** Resolves when there is room again; false when the connection ended first. */
  room(): Promise<boolean>;
  /** Offsets have lost their meaning: closes the connection so that the client starts over. */
  replaced(): void;
}

/** The channels of one declaration. */
export interface Feed {
  readonly declaration: ChannelDeclaration;
  readonly shape: ChannelShape;
  /** Answers through the subscriber, at once or later. */
  attach(subscriber: Subscriber, since: Since | undefined): void;
  detach(subscriber: Subscriber): void;
  /** Up to where the subscriber was sent everything; undefined while its past is still on the way. */
  reached(subscriber: Subscriber): number | undefined;
  close(): Promise<void>;
}
