import type { Role } from "./roles.js";

/** What the gateway shows to clients, as data: a pipeline that writes a stream declares its channels, and nothing else is needed. */
export type ChannelDeclaration = StreamChannel | PolledChannel;

/** What a client gets that reads too slowly: everything or a disconnect; the newest of each key; the newest of all. */
export type DeliveryClass = "lossless" | "latest" | "sample";

interface AnyChannel {
  /**
   * Words and parameters: `alerts[.<domain>]`. Parameters come last; those in brackets may be left out, from the right. A parameter
   * stands for one token of the subject, as it is written there.
   */
  readonly name: string;
  /** The class of a subscription that asks for none. */
  readonly delivery: DeliveryClass;
  /** latest and sample: the least time between two events of a key. @default 1000 */
  readonly everyMs?: number;
  /** lossless: how long a frame may wait for others, 0 to 100. @default 0 */
  readonly flushMs?: number;
  /** The lowest role that may read it. */
  readonly role: Role;
  /** Tells operators who else is there. @default false */
  readonly presence?: boolean;
}

/** Records of a stream. */
export interface StreamChannel extends AnyChannel {
  readonly kind: "history" | "state";
  readonly stream: string;
  /** The subjects shown: a NATS pattern in which `<parameter>` stands for the parameter, and for `*` where it was left out. */
  readonly subject: string;
  /** The field, `.` between levels, whose newest record counts: for conflation, and for the state. @default the subject */
  readonly key?: string;
  /** state: a record whose field says this leaves the state. */
  readonly gone?: { readonly field: string; readonly is: string };
  /** `demand`: the stream is read only while somebody is subscribed, for streams with many records. @default "always" */
  readonly reading?: "always" | "demand";
}

/** A value of the process itself, read again and again while somebody is subscribed. The gateway is given the reader by name. */
export interface PolledChannel extends AnyChannel {
  readonly kind: "polled";
  readonly pollMs: number;
}
