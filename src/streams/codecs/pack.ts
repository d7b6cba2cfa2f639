import type { NewMessage } from "../../core/index.js";

/** Multi-event messages stay small enough to be read, shown and re-sent as one. */
export const PACK_BYTES_MOST = 256 * 1024;

const NEWLINE = Uint8Array.of(10);
const [NEWLINE_BYTE, BRACE_OPEN] = [0x0a, 0x7b];

/** Lines as NDJSON bodies of at most 256 KB each, unless one alone is larger. One of a single line is that line's own bytes. */
export function* packLines(lines: readonly Uint8Array[]): Generator<Uint8Array> {
  let parts: Uint8Array[] = [];
  let size = 0;
  for (const line of lines) {
    if (size > 0 && size + 1 + line.length > PACK_BYTES_MOST) {
      yield parts.length === 1 ? (parts[0] as Uint8Array) : Buffer.concat(parts);
      parts = [];
      size = 0;
    }
    parts.push(...(size > 0 ? [NEWLINE, line] : [line]));
    size += line.length + (size > 0 ? 1 : 0);
  }
  if (size > 0) yield parts.length === 1 ? (parts[0] as Uint8Array) : Buffer.concat(parts);
}

/**
 * How many messages from the front of `waiting` may travel as one: neighbours of one subject, each a single line that is a JSON
 * object, so that taking the pack apart gives exactly these bodies again. At least 1.
 */
export function packable(waiting: readonly NewMessage[]): number {
  const [first] = waiting;
  if (first === undefined || !isLine(first.data)) return 1;
  let bytes = first.data.length;
  let count = 1;
  for (; count < waiting.length; count++) {
    const { subject, data } = waiting[count] as NewMessage;
    bytes += 1 + data.length;
    if (subject !== first.subject || bytes > PACK_BYTES_MOST || !isLine(data)) break;
  }
  return count;
}

function isLine(data: Uint8Array): boolean {
  if (data[0] !== BRACE_OPEN || data.includes(NEWLINE_BYTE)) return false;
  try {
    JSON.parse(Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("utf8"));
    return true;
  } catch {
    return false;
  }
}
