import {
  type Counters,
  type Emit,
  type LogMessage,
  MillraceError,
  type Pipeline,
  type Program,
} from "../../src/core/index.js";

/** Counts what it sees per key and says the running count: any loss, repeat or reordering shows in its outputs. */
export function toyPipeline(
  options: { failOnceAt?: number; failAlwaysAt?: number; version?: number; bonus?: number; refuse?: string } = {},
): Pipeline {
  let failures = options.failOnceAt === undefined ? 0 : 1;
  return {
    name: "toy.counts",
    summary: "running count per key",
    source: "telemetry",
    writes: ["accepted", "features"],
    steps: [{ name: "count", kind: "operator", detail: "running count", to: ["features"] }],
    version: options.version ?? 1,
    create: ({ partition }) => {
      const counts = new Map<string, number>();
      let received = 0;
      const program: Program = {
        apply({ data, subject }: LogMessage, _ahead: unknown, emit: Emit) {
          if (subject.includes("._")) return;
          const key = Buffer.from(data).toString();
          received++;
          const isPlanted = received === options.failOnceAt && failures-- > 0;
          if (isPlanted || received === options.failAlwaysAt)
            throw new MillraceError("MR_EVENT_MALFORMED", "planted failure");
          const count = (counts.get(key) ?? 0) + 1 + (options.bonus ?? 0);
          counts.set(key, count);
          const record = {
            kind: "late",
            pipeline: "toy.counts",
            domain: "mine",
            key,
            eventId: `${key}${count}`,
            tsMs: count,
            lateByMs: 0,
          } as const;
          emit({ stream: "features", subject: `features.${partition}.toy.${key}`, record });
          emit({ stream: "accepted", subject: `accepted.${partition}.toy`, record, pack: true });
        },
        counters: (): Counters => ({ received, duplicates: 0, deadLettered: 0, late: 0, accepted: received }),
        watermarkMs: () => received,
        save: () => Buffer.from(JSON.stringify({ received, counts: [...counts].sort() })),
        load(state) {
          if (options.refuse !== undefined) throw new MillraceError("MR_STATE_INCOMPATIBLE", options.refuse);
          const saved = JSON.parse(Buffer.from(state).toString()) as { received: number; counts: [string, number][] };
          received = saved.received;
          for (const [key, count] of saved.counts) counts.set(key, count);
        },
      };
      return program;
    },
  };
}
