import { type ClientFrame, clientFrameSchema, type ErrorFrame, type ProtocolErrorCode } from "./protocol.js";

export type Parsed =
  | { readonly kind: "frame"; readonly frame: ClientFrame }
  | { readonly kind: "error"; readonly error: ErrorFrame };

const OPS = clientFrameSchema.options.map(({ shape }) => shape.op.value);
/** Beyond this depth a text is no request of ours; checked before anything walks the value. */
const MAX_DEPTH = 24;

/** Reads what a client sent. Never throws: whatever is not a request is an error frame, with the request's id where that is readable. */
export function parseClientFrame(text: string): Parsed {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return refuse(null, "bad_request", "a frame is one JSON object");
  }
  return readClientFrame(value);
}

/** The same for a value that was decoded already. */
export function readClientFrame(value: unknown): Parsed {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    return refuse(null, "bad_request", "a frame is one JSON object");
  const { op, id } = value as Record<string, unknown>;
  const number = Number.isSafeInteger(id) && (id as number) >= 0 ? (id as number) : null;
  if (!OPS.some((known) => known === op)) return refuse(number, "unknown_op", `op is ${OPS.join(", ")}`);
  if (depthOf(value, MAX_DEPTH) > MAX_DEPTH) return refuse(number, "bad_request", "the frame is nested too deeply");
  const parsed = clientFrameSchema.safeParse(value);
  if (parsed.success) return { kind: "frame", frame: parsed.data };
  return refuse(number, "bad_request", explain(parsed.error.issues));
}

function explain(issues: readonly { readonly path: readonly PropertyKey[]; readonly message: string }[]): string {
  const { path, message } = issues[0] ?? { path: [], message: "not a request" };
  return `${path.join(".") || "the frame"}: ${message}`.slice(0, 180);
}

function depthOf(value: unknown, enough: number): number {
  if (typeof value !== "object" || value === null || enough < 0) return 0;
  let deepest = 0;
  for (const item of Object.values(value)) deepest = Math.max(deepest, depthOf(item, enough - 1));
  return deepest + 1;
}

function refuse(id: number | null, code: ProtocolErrorCode, message: string): Parsed {
  return { kind: "error", error: { op: "error", id, code, message } };
}
