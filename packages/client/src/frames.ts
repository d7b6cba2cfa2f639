/**
 * What goes over the wire, `millrace.v1`: the frames of docs/protocol.md, narrowed to what this client says and hears. A test of the
 * gateway compiles both against each other.
 */

type Scalar = string | number | boolean | null;
type Bound = string | number;

/** A test of each record's `data`, made by the gateway. A field that is not there matches nothing, so it matches `not`. */
export type Filter =
  | { readonly eq: readonly [path: string, value: Scalar] }
  | { readonly in: readonly [path: string, values: readonly Scalar[]] }
  | { readonly prefix: readonly [path: string, text: string] }
  | {
      readonly range: readonly [
        path: string,
        sides: { readonly gt?: Bound; readonly gte?: Bound; readonly lt?: Bound; readonly lte?: Bound },
      ];
    }
  | { readonly and: readonly Filter[] }
  | { readonly or: readonly Filter[] }
  | { readonly not: Filter };

/** A place in a channel's log. Offsets of different epochs cannot be compared. */
export interface Position {
  readonly epoch: string;
  readonly offset: number;
}

/** What a subscription may ask for; without it the channel's own class holds. */
export interface Wanted {
  readonly filter?: Filter;
  /** Everything; of each key the newest; the newest of all. */
  readonly delivery?: "lossless" | "latest" | "sample";
  /** `latest` and `sample`: at most one in so long, 1 to 60000. */
  readonly everyMs?: number;
  /** `lossless`: an event may wait so long for company, 0 to 100. */
  readonly flushMs?: number;
  /** Hear who comes and goes, on channels that offer it. */
  readonly presence?: boolean;
}

export interface SubscribeFrame extends Wanted {
  readonly op: "subscribe";
  readonly id: number;
  readonly channel: string;
  readonly since?: Position;
}

export interface Member {
  readonly client: string;
  readonly user: string;
  /** RFC 3339. */
  readonly since: string;
}

export interface Subscribed {
  readonly op: "subscribed";
  readonly id: number;
  readonly channel: string;
  readonly epoch: string;
  readonly offset: number;
  readonly history?: false;
  readonly recovered?: boolean;
  readonly state?: true;
}

/** Frames that belong to one channel and answer nothing. */
export type ChannelFrame =
  | {
      readonly op: "state";
      readonly channel: string;
      readonly offset: number;
      readonly data: readonly unknown[];
      readonly last: boolean;
    }
  | {
      readonly op: "event";
      readonly channel: string;
      readonly offset: number;
      readonly prev: number;
      readonly data: unknown;
    }
  | {
      readonly op: "dropped";
      readonly channel: string;
      readonly count: number;
      readonly reason: string;
    }
  | {
      readonly op: "join";
      readonly channel: string;
      readonly client: string;
      readonly user: string;
      readonly since: string;
    }
  | { readonly op: "leave"; readonly channel: string; readonly client: string; readonly user: string };

/** Frames that answer the request with their `id`. */
export type AnswerFrame =
  | Subscribed
  | { readonly op: "unsubscribed"; readonly id: number; readonly channel: string }
  | { readonly op: "presence"; readonly id: number; readonly channel: string; readonly here: readonly Member[] }
  | { readonly op: "refreshed"; readonly id: number; readonly expiresInMs?: number }
  | { readonly op: "error"; readonly id: number | null; readonly code: string; readonly message: string };

/** Frames about the connection. */
export type ConnectionFrame =
  | {
      readonly op: "hello";
      readonly client: string;
      readonly user: string;
      readonly heartbeatMs: number;
      readonly expiresInMs?: number;
    }
  | { readonly op: "heartbeat"; readonly at: Readonly<Record<string, number>> }
  | { readonly op: "drain"; readonly withinMs: number };

export type ServerFrame = ChannelFrame | AnswerFrame | ConnectionFrame;
