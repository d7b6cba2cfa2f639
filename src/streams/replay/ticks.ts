import type { Log } from "../../core/index.js";
import type { ReplayStream } from "./manifest.js";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

interface TickBody {
  readonly source: string;
  readonly t: number;
  readonly retire?: boolean;
}

/** A source's ticks in one stream: one copy for each partition, on `<stream>.<p>._tick.<source>`. */
export interface Ticks {
  /** Where the source stands: the least t of all partitions; undefined until every partition has been told. */
  position(): Promise<{ readonly t: number; readonly retired: boolean } | undefined>;
  /** Resolves when every partition has the tick. Errors: MR_LOG_FULL, MR_LOG_UNAVAILABLE; some may have it then. */
  publish(t: number, retire?: boolean): Promise<void>;
}

export function ticksOf(
  log: Log,
  { stream, source, partitions }: { stream: ReplayStream; source: string; partitions: number },
): Ticks {
  const subjects = Array.from({ length: partitions }, (_, p) => `${stream}.${p}._tick.${source}`);
  return {
    async position() {
      const newest = await Promise.all(subjects.map((subject) => log.last(stream, subject)));
      const ticks = newest.flatMap((message) =>
        message ? [JSON.parse(decoder.decode(message.data)) as TickBody] : [],
      );
      if (ticks.length < partitions) return undefined;
      return { t: Math.min(...ticks.map(({ t }) => t)), retired: ticks.every(({ retire }) => retire === true) };
    },
    async publish(t, retire = false) {
      const body: TickBody = { source, t, ...(retire ? { retire } : {}) };
      const data = encoder.encode(JSON.stringify(body));
      await Promise.all(subjects.map((subject) => log.publish({ subject, data })));
    },
  };
}
