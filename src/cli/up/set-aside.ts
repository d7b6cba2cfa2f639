import type { DeadLetter, Log } from "../../core/index.js";
import type { PoisonRow } from "../../sinks/index.js";

export type DeadDomain = DeadLetter["domain"];

const KEPT_BYTES = 64 * 1024;

/** A record no table takes becomes a dead letter; resolves with the domain it belonged to. Errors: as `Log.publish`. */
export async function setAside(log: Log, row: PoisonRow, reason: string): Promise<DeadDomain> {
  const domain = row.table === "github_events" ? "github" : "telemetry";
  const bytes = Buffer.from(row.text);
  const letter: DeadLetter & { id: string } = {
    id: `sink/${row.stream}/${row.sequence}/${row.index}`,
    kind: "dead",
    domain,
    eventId: `sink/${row.stream}/${row.sequence}/${row.index}`,
    reason: `not stored in ${row.table ?? "any table"}: ${reason}`,
    source: "sink",
    door: "sink",
    subject: row.stream,
    origin: { stream: row.stream, sequence: row.sequence, index: row.index },
    bytesBase64: bytes.subarray(0, KEPT_BYTES).toString("base64"),
    bytesTotal: bytes.length,
  };
  await log.publish({ subject: "dead.sink", data: Buffer.from(JSON.stringify(letter)) });
  return domain;
}
