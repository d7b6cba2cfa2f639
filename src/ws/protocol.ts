import type { Alert, Plan } from "../core/records.js";
import type { Stats } from "../core/stats.js";

/** What goes over `/ws`, one JSON object a text frame. Types only, so that the page can share them; `docs/protocol.md` explains. */

/** What each channel of this build carries as `data`. */
export interface ChannelData {
  readonly alerts: Alert & { readonly id: string };
  readonly plans: Plan & { readonly id: string };
  readonly stats: Stats;
}

export type ChannelName = keyof ChannelData;

/** `id` is the client's own number for the request; the answer repeats it. */
export type ClientFrame =
  | {
      readonly op: "subscribe";
      readonly id: number;
      readonly channel: string;
      /** Replay what came after this offset, then go on live. */
      readonly since?: number;
      /** The epoch `since` belongs to. */
      readonly epoch?: string;
    }
  | { readonly op: "unsubscribe"; readonly id: number; readonly channel: string }
  | { readonly op: "ping"; readonly id?: number };

export interface SubscribedFrame {
  readonly op: "subscribed";
  readonly id: number;
  readonly channel: string;
  /** Offsets of different epochs cannot be compared. */
  readonly epoch: string;
  /** `prev` of the first event that follows. */
  readonly offset: number;
  /** Present on channels that cannot replay. */
  readonly history?: false;
  /** Present when `since` was given. False: something after `since` is gone, and only what is new follows. */
  readonly recovered?: boolean;
}

export interface UnsubscribedFrame {
  readonly op: "unsubscribed";
  readonly id: number;
  readonly channel: string;
}

/** A client that gets `prev` other than the offset it saw last has missed a frame: subscribe again with `since`. */
export interface EventFrame<Name extends ChannelName = ChannelName> {
  readonly op: "event";
  readonly channel: Name;
  /** Increases; jumps where the log holds something else. */
  readonly offset: number;
  /** Offset of this subscription's preceding frame. */
  readonly prev: number;
  readonly data: ChannelData[Name];
}

export interface PongFrame {
  readonly op: "pong";
  readonly id?: number;
}

export type ProtocolErrorCode =
  | "bad_request"
  | "unknown_op"
  | "unknown_channel"
  | "forbidden"
  | "already_subscribed"
  | "not_subscribed"
  | "too_many_subscriptions"
  | "rate_limited"
  | "unavailable";

export interface ErrorFrame {
  readonly op: "error";
  /** The request's number; null when it could not be read. */
  readonly id: number | null;
  readonly code: ProtocolErrorCode;
  readonly message: string;
}

export type ServerFrame = SubscribedFrame | UnsubscribedFrame | EventFrame | PongFrame | ErrorFrame;

/**
 * Close codes of the gateway. 1001: going away; 3008: read too slowly; 3010: the channel's log was replaced; 3013: too many
 * requests. After each of these reconnect with growing, random pauses and subscribe with the last `epoch` and offset.
 * 1003 (binary frame) and 1009 (message over 64 KB) are the client's fault and will repeat.
 */
export type CloseCode = 1001 | 1003 | 1009 | 3008 | 3010 | 3013;
