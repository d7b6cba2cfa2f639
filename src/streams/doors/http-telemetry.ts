import {
  type DecodedReading,
  decodeReadings,
  encodeToken,
  type HttpRoute,
  jsonReply,
  type Log,
  type NewMessage,
  UNKNOWN_TOKEN,
} from "../../core/index.js";
import { packLines } from "../codecs/pack.js";
import { inOrderOf } from "./in-flight.js";
import { sourceOf } from "./source.js";

const BODY_BYTES_MOST = 8 * 1024 * 1024;
const IN_FLIGHT_MOST = 256;
const NOWHERE = `in.telemetry.${UNKNOWN_TOKEN}.${UNKNOWN_TOKEN}.${UNKNOWN_TOKEN}`;

export interface TelemetryDoorOptions {
  readonly log: Log;
  readonly localKey: string;
}

/**
 * `POST /api/v1/telemetry`: one reading, an array or NDJSON, answered with 202 `{accepted, rejected}` once the log has all of it, the
 * rejected ones included: the task sets those aside with their reason. Readings of one site, equipment and group travel
 * together, in their order, at most 256 KB a message unless one alone is larger.
 *
 * Errors: MR_LOG_FULL and MR_LOG_UNAVAILABLE (503), MR_TOO_LARGE (413): part of the body may be stored by then. Sending it again
 *         is harmless, the first operator drops what it has seen.
 */
export function telemetryDoor({ log, localKey }: TelemetryDoorOptions): HttpRoute {
  return {
    method: "POST",
    path: "/api/v1/telemetry",
    access: "key",
    needs: "ingest",
    maxBodyBytes: BODY_BYTES_MOST,
    async handle(request) {
      const items = decodeReadings(request.body);
      const headers = { "Millrace-Door": "http", "Millrace-Source": sourceOf(request, localKey) };
      await inOrderOf(messagesOf(items, headers), IN_FLIGHT_MOST, (message) => log.publish(message));
      const accepted = items.filter(({ ok }) => ok).length;
      return jsonReply(202, { accepted, rejected: items.length - accepted });
    },
  };
}

function* messagesOf(
  items: readonly DecodedReading[],
  headers: Readonly<Record<string, string>>,
): Generator<NewMessage> {
  const packs = new Map<string, Uint8Array[]>();
  for (const item of items) {
    if (!item.ok) yield { subject: NOWHERE, data: item.bytes, headers };
    else packFor(packs, item.reading).push(item.encode());
  }
  for (const [subject, lines] of packs) for (const data of packLines(lines)) yield { subject, data, headers };
}

function packFor(
  packs: Map<string, Uint8Array[]>,
  { site, equipment, group }: { site: string; equipment: string; group: string },
) {
  const subject = ["in.telemetry", ...[site, equipment, group].map(encodeToken)].join(".");
  const lines = packs.get(subject) ?? [];
  packs.set(subject, lines);
  return lines;
}
