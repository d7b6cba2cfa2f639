import type { LogMessage } from "../core/index.js";
import type { Tick } from "../operators/index.js";

/** What a message in a partition is, by the third token of its subject: `<stream>.<p>.<token>.…`. */
export type MessageKind = "event" | "tick" | "control" | "mark";

const KINDS: Readonly<Record<string, MessageKind>> = { _tick: "tick", _ctl: "control", _mark: "mark" };

export function kindOf({ subject }: LogMessage): MessageKind {
  const from = subject.indexOf(".", subject.indexOf(".") + 1) + 1;
  if (subject[from] !== "_") return "event";
  const end = subject.indexOf(".", from);
  return KINDS[subject.slice(from, end < 0 ? undefined : end)] ?? "event";
}

/** The tick in the message's body. Undefined when it is none: whatever it was, it says nothing about time, and it is no event. */
export function tickOf({ data }: LogMessage): Tick | undefined {
  const body = jsonOf(data) as Partial<Tick> | undefined;
  if (body === undefined || body === null || typeof body.source !== "string" || !Number.isSafeInteger(body.t))
    return undefined;
  return { source: body.source, t: body.t as number, retire: body.retire === true };
}

/** The body as JSON; undefined when it is not UTF-8 JSON. */
export function jsonOf(data: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(data));
  } catch {
    return undefined;
  }
}
