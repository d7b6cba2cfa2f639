import { MillraceError, type Pipeline, type StoredMarker } from "../../core/index.js";
import { forgetTime } from "../../operators/engine/index.js";
import type { Connection } from "../../streams/index.js";

/** Faults planted on purpose, to see that the tests which should catch them do. Never set in earnest. */
export const SABOTAGES = ["skip-fence", "forget-watermark", "ack-first"] as const;
export type Sabotage = (typeof SABOTAGES)[number];

/** How long `ack-first` sits on what it has acknowledged. */
const SIT_MS = 1_500;

/** Reads MILLRACE_SABOTAGE. Errors: MR_OPTION_INVALID. */
export function sabotageOf(env: NodeJS.ProcessEnv): Sabotage | undefined {
  const name = env["MILLRACE_SABOTAGE"];
  if (name === undefined || name === "") return undefined;
  const known = SABOTAGES.find((one) => one === name);
  if (known !== undefined) return known;
  throw new MillraceError("MR_OPTION_INVALID", `MILLRACE_SABOTAGE: ${name} is not one of ${SABOTAGES.join(", ")}`);
}

/** What a thread of tasks works with. */
export interface Means {
  readonly connection: Connection;
  readonly pipelines: readonly Pipeline[];
  /** Whether tasks hear of it when their lease is lost. */
  readonly heedLoss: boolean;
}

/** The same with the fault; unchanged without one. */
export function sabotaged(sabotage: Sabotage | undefined, means: Means): Means {
  const { connection, pipelines } = means;
  if (sabotage === "skip-fence") return { ...means, connection: withoutFence(connection), heedLoss: false };
  if (sabotage === "ack-first") return { ...means, connection: acknowledgingFirst(connection) };
  if (sabotage === "forget-watermark") return { ...means, pipelines: pipelines.map(forgetting) };
  return means;
}

/** Writes whatever the marker or the snapshot's pointer says by now: a former owner is not stopped. */
function withoutFence(connection: Connection): Connection {
  const { log, registers } = connection;
  return {
    ...connection,
    log: {
      ...log,
      async writeBatch(batch) {
        const stored = await log.readMarker(batch.stream, batch.task);
        return log.writeBatch({ ...batch, expectedAt: stored?.storedAt ?? 0 });
      },
    },
    registers: {
      ...registers,
      async set(key, value, expectedRevision) {
        const revision = await registers.set(key, value, expectedRevision);
        if (revision !== undefined) return revision;
        return registers.set(key, value, (await registers.get(key))?.revision ?? 0);
      },
    },
  };
}

/** Says that a batch is stored before the log has it, and sends it a good while later. */
function acknowledgingFirst(connection: Connection): Connection {
  const { log } = connection;
  const behind = new Map<string, Promise<StoredMarker>>();
  return {
    ...connection,
    log: {
      ...log,
      async writeBatch(batch) {
        const lane = `${batch.stream} ${batch.task}`;
        const before = behind.get(lane) ?? Promise.resolve({ ...batch.marker, storedAt: batch.expectedAt });
        const writing = before.then(async ({ storedAt }) => {
          await new Promise((resolve) => setTimeout(resolve, SIT_MS));
          return log.writeBatch({ ...batch, expectedAt: storedAt });
        });
        writing.catch(() => undefined); // nobody is told
        behind.set(lane, writing);
        return { ...batch.marker, storedAt: batch.expectedAt };
      },
    },
  };
}

/** A snapshot is loaded without the time it was taken at. */
function forgetting(pipeline: Pipeline): Pipeline {
  const { name, summary, source, writes, steps, version } = pipeline;
  return {
    ...{ name, summary, source, writes, steps, version },
    create(context) {
      const program = pipeline.create(context);
      const load = program.load.bind(program);
      program.load = (state) => load(forgetTime(state));
      return program;
    },
  };
}
