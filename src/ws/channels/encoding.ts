import { Encoder } from "@msgpack/msgpack";
import type { ServerFrame } from "../protocol.js";
import type { Entry } from "./entry.js";

/** How frames look on one kind of connection. */
export interface Encoding {
  readonly name: "json" | "msgpack" | "sse";
  readonly binary: boolean;
  /** `epoch` is that of the channel's log. */
  event(channel: string, epoch: string, entry: Entry, prev: number): Buffer;
  /** `entries`: records of a state, `last` when no more follow. */
  state(channel: string, epoch: string, offset: number, entries: readonly Entry[], last: boolean): Buffer;
  frame(frame: ServerFrame): Buffer;
}

export const json: Encoding = {
  name: "json",
  binary: false,
  event: (channel, _epoch, entry, prev) => Buffer.from(eventText(channel, entry, prev)),
  state: (channel, _epoch, offset, entries, last) => Buffer.from(stateText(channel, offset, entries, last)),
  frame: (frame) => Buffer.from(JSON.stringify(frame)),
};

const packer = new Encoder({ useBigInt64: false });
// The packer's buffer is used again, so what it returns is copied.
const pack = (value: unknown) => Buffer.from(packer.encode(value));

export const msgpack: Encoding = {
  name: "msgpack",
  binary: true,
  event(channel, _epoch, { offset, value }, prev) {
    const frame = { op: "event", channel, offset, prev, data: value };
    return tryPack(frame) ?? pack({ ...frame, data: null });
  },
  state(channel, _epoch, offset, entries, last) {
    const data = entries.map(({ value }) => value);
    const frame = { op: "state", channel, offset, data, last };
    return tryPack(frame) ?? pack({ ...frame, data: data.map((value) => (tryPack([[value]]) ? value : null)) });
  },
  frame: pack,
};

/** JSON of any depth can be read, but the packer takes about a hundred levels and then throws: undefined. */
function tryPack(value: unknown): Buffer | undefined {
  try {
    return pack(value);
  } catch {
    return undefined;
  }
}

/** Server-sent events: the id is where an EventSource goes on by itself. */
export const sse: Encoding = {
  name: "sse",
  binary: false,
  event: (channel, epoch, entry, prev) => message("event", eventText(channel, entry, prev), `${epoch}:${entry.offset}`),
  state: (channel, epoch, offset, entries, last) =>
    message("state", stateText(channel, offset, entries, last), last ? `${epoch}:${offset}` : undefined),
  frame: (frame) => message(frame.op, JSON.stringify(frame)),
};

/** JSON text has no line breaks of its own unless a record was written with some; they are white space then. */
function message(name: string, text: string, id?: string): Buffer {
  const data = text.replace(/[\r\n]+/g, " ");
  return Buffer.from(`${id === undefined ? "" : `id: ${id}\n`}event: ${name}\ndata: ${data}\n\n`);
}

/** Nothing in the name of a channel has to be escaped. */
function eventText(channel: string, { offset, text }: Entry, prev: number): string {
  return `{"op":"event","channel":"${channel}","offset":${offset},"prev":${prev},"data":${text}}`;
}

function stateText(channel: string, offset: number, entries: readonly Entry[], last: boolean): string {
  const data = entries.map(({ text }) => text).join(",");
  return `{"op":"state","channel":"${channel}","offset":${offset},"data":[${data}],"last":${last}}`;
}

/** The frame of an event. Made once for all who have the same event before it, which is nearly everybody. */
export function eventFrame(encoding: Encoding, channel: string, epoch: string, entry: Entry, prev: number): Buffer {
  const { memo } = entry;
  if (memo && memo.prev === prev && memo.channel === channel && memo.encoding === encoding.name) return memo.frame;
  const frame = encoding.event(channel, epoch, entry, prev);
  entry.memo = { encoding: encoding.name, channel, prev, frame };
  return frame;
}
