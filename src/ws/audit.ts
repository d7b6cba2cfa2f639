import type { Log, Logger } from "../core/index.js";
import type { AuditResult, AuditTrail } from "./access/access.js";
import type { GatewayMetrics } from "./metrics.js";

/** One record of the stream `audit`: what somebody did, or was refused, so many times within half a second. */
export interface AuditEntry {
  readonly kind: "audit";
  readonly tsMs: number;
  /** Of the last of them; the same as `tsMs` for one. */
  readonly untilMs: number;
  /** The subject, or `unknown` where no credential counted. */
  readonly who: string;
  readonly address: string;
  /** Route, `connect`, `subscribe <channel>`, `refresh`. */
  readonly what: string;
  readonly result: AuditResult;
  readonly count: number;
}

export const AUDIT_STREAM = "audit";
const SUBJECT = `${AUDIT_STREAM}.gateway`;
const FLUSH_MS = 500;
/** Different entries of one flush. What comes beyond is counted by result alone: nobody can make us write more than this twice a second. */
const ENTRIES_MOST = 1_000;
const REST = { who: "many", address: "", what: "more than could be listed" };

/**
 * Writes to the log twice a second at most, one message of bounded size, however much happens. While the log is away entries wait, within
 * the same bound. A crash loses the last half second.
 */
export function createAuditTrail(options: {
  readonly log: Log;
  readonly logger: Logger;
  readonly metrics: Pick<GatewayMetrics, "audited">;
  readonly nowMs?: () => number;
}): AuditTrail & { close(): Promise<void> } {
  const { log, logger, metrics, nowMs = Date.now } = options;
  let pending = new Map<string, AuditEntry>();
  let timer: NodeJS.Timeout | undefined;
  let writing: Promise<void> = Promise.resolve();
  let isFailing = false;
  let closed = false;

  const merge = (entry: AuditEntry) => {
    const isKnown = pending.has(keyOf(entry));
    const place = isKnown || pending.size < ENTRIES_MOST ? entry : { ...entry, ...REST };
    const before = pending.get(keyOf(place));
    if (!before) pending.set(keyOf(place), place);
    else {
      const tsMs = Math.min(before.tsMs, entry.tsMs);
      const untilMs = Math.max(before.untilMs, entry.untilMs);
      pending.set(keyOf(place), { ...before, tsMs, untilMs, count: before.count + entry.count });
    }
    if (!closed) timer ??= setTimeout(flush, FLUSH_MS).unref();
  };
  const flush = () => {
    timer = undefined;
    const entries = [...pending.values()];
    pending = new Map();
    writing = write(entries);
  };
  const write = async (entries: readonly AuditEntry[]) => {
    if (entries.length === 0) return;
    try {
      await log.publish({
        subject: SUBJECT,
        data: Buffer.from(entries.map((entry) => JSON.stringify(entry)).join("\n")),
      });
      isFailing = false;
    } catch (err) {
      if (!isFailing) logger.warn({ err }, "the audit stream could not be written; entries wait");
      isFailing = true;
      for (const entry of entries) merge(entry);
    }
  };
  return {
    record({ subject, address }, what, result) {
      metrics.audited(result);
      const tsMs = nowMs();
      merge({ kind: "audit", tsMs, untilMs: tsMs, who: subject, address, what, result, count: 1 });
    },
    async close() {
      closed = true;
      clearTimeout(timer);
      await writing;
      flush();
      await writing;
    },
  };
}

function keyOf({ who, address, what, result }: AuditEntry): string {
  return `${result}\n${address}\n${what}\n${who}`;
}
