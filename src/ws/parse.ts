import type { ClientFrame, ErrorFrame, ProtocolErrorCode } from "./protocol.js";

export type Parsed =
  | { readonly kind: "frame"; readonly frame: ClientFrame }
  | { readonly kind: "error"; readonly error: ErrorFrame };

/** Reads what a client sent. Never throws: whatever is not a request is an error frame, with the request's id where that is readable. */
export function parseClientFrame(text: string): Parsed {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return refuse(null, "bad_request", "a frame is one JSON object");
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return refuse(null, "bad_request", "a frame is one JSON object");
  }
  const { op, id, channel, since, epoch } = value as Record<string, unknown>;
  const number = isOffset(id) ? id : null;
  if (op === "ping") {
    if (id !== undefined && number === null) return refuse(null, "bad_request", "id must be a non-negative integer");
    return { kind: "frame", frame: number === null ? { op } : { op, id: number } };
  }
  if (op !== "subscribe" && op !== "unsubscribe")
    return refuse(number, "unknown_op", "op is subscribe, unsubscribe or ping");
  if (number === null) return refuse(null, "bad_request", "id must be a non-negative integer");
  if (typeof channel !== "string") return refuse(number, "bad_request", "channel must be a string");
  if (op === "unsubscribe") return { kind: "frame", frame: { op, id: number, channel } };
  if (since !== undefined && !isOffset(since))
    return refuse(number, "bad_request", "since must be a non-negative integer");
  if (epoch !== undefined && typeof epoch !== "string") return refuse(number, "bad_request", "epoch must be a string");
  const from = { ...(since === undefined ? {} : { since }), ...(epoch === undefined ? {} : { epoch }) };
  return { kind: "frame", frame: { op, id: number, channel, ...from } };
}

function isOffset(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function refuse(id: number | null, code: ProtocolErrorCode, message: string): Parsed {
  return { kind: "error", error: { op: "error", id, code, message } };
}
