import type { Log, LogMessage, LogReader, Output, Pipeline, Program, StoredMarker } from "../../src/core/index.js";
import { forgetTime } from "../../src/operators/engine/index.js";
import type { Bug } from "./simulate.js";
import type { Ports } from "./world/ports.js";
import { wrapProgram } from "./world/programs.js";

/**
 * Ways to be wrong that an engine like this one has been seen to have, each planted between the unchanged runtime and its world.
 * A simulation that does not notice one of them proves nothing about it.
 */
export const bugs: readonly Bug[] = [
  {
    name: "forget the watermark in the snapshot",
    pipeline: (pipeline) => withProgram(pipeline, (program) => ({ load: (state) => program.load(forgetTime(state)) })),
  },
  {
    name: "skip the fence: no owner puts its epoch into the markers",
    ports: (ports) =>
      withLog(ports, (log) => ({
        writeBatch: async (batch) => {
          const marker = await log.readMarker(batch.stream, batch.task);
          if (batch.messages.length === 0) return { ...batch.marker, storedAt: marker?.storedAt ?? 0 };
          return log.writeBatch({ ...batch, expectedAt: marker?.storedAt ?? 0 });
        },
      })),
  },
  {
    name: "the door acknowledges before the log has the event",
    door: (ports) =>
      withLog(ports, (log) => ({
        publish: async (message) => {
          log.publish(message).catch(() => undefined);
          return 0;
        },
      })),
  },
  {
    name: "commit a snapshot before its outputs are acknowledged",
    ports: (ports) => withLog(ports, acknowledgingFirst),
  },
  {
    name: "fire in hash order",
    pipeline: (pipeline, { random }) => {
      const salt = random.between(1, 1_000);
      return withProgram(pipeline, (program) => ({
        apply: (message, ahead, emit) => {
          const said: Output[] = [];
          program.apply(message, ahead, (output) => said.push(output));
          for (const output of said.sort((a, b) => hash(a, salt) - hash(b, salt))) emit(output);
        },
      }));
    },
  },
  {
    name: "take over without a new epoch",
    leases: (leases) => ({
      ...leases,
      tryAcquire: async (name, holder) => {
        const lease = await leases.tryAcquire(name, holder);
        return lease && { ...lease, epoch: 1, lost: lease.lost, release: () => lease.release() };
      },
    }),
  },
  {
    name: "ignore a recreated stream",
    ports: (ports) =>
      withLog(ports, (log) => ({
        info: async (stream) => {
          const info = await log.info(stream);
          const incarnation = known.get(stream) ?? info.incarnation;
          known.set(stream, incarnation);
          return { ...info, incarnation, lastSequence: Number.MAX_SAFE_INTEGER };
        },
        read: ({ incarnation: _any, ...what }) => log.read(what),
      })),
    begin: () => known.clear(),
  },
  {
    name: "do not suppress outputs up to the marker after a restart",
    ports: (ports) =>
      withLog(ports, (log) => ({
        readMarker: async (stream, task) => {
          const marker = await log.readMarker(stream, task);
          return marker && { ...marker, sequence: 0, index: 0 };
        },
      })),
  },
  {
    name: "resume one message too far",
    ports: (ports) => withLog(ports, (log) => ({ read: (what) => log.read(shifted(what, 1)) })),
  },
  {
    name: "resume one message too early",
    ports: (ports) => withLog(ports, (log) => ({ read: (what) => log.read(shifted(what, -1)) })),
  },
  {
    name: "a batch that is not atomic: messages first, the marker after them",
    ports: (ports) =>
      withLog(ports, (log) => ({
        writeBatch: async (batch) => {
          for (const message of batch.messages) await log.publish(message);
          return log.writeBatch({ ...batch, messages: [] });
        },
      })),
  },
  {
    name: "a lost answer is taken for a refusal: the batch is sent again behind the new marker",
    ports: (ports) =>
      withLog(ports, (log) => ({
        writeBatch: async (batch) => {
          try {
            return await log.writeBatch(batch);
          } catch {
            const marker = await log.readMarker(batch.stream, batch.task);
            return log.writeBatch({ ...batch, expectedAt: marker?.storedAt ?? 0 });
          }
        },
      })),
  },
  {
    name: "a stale snapshot: the position is new, the state is the one before",
    ports: (ports) => {
      const before = new Map<string, Uint8Array>();
      return {
        ...ports,
        objects: {
          ...ports.objects,
          put: async (name, bytes) => {
            const task = name.slice(0, name.lastIndexOf("/"));
            const whole = bytes instanceof Uint8Array ? bytes : Buffer.concat(bytes);
            await ports.objects.put(name, before.get(task) ?? whole);
            before.set(task, Uint8Array.from(whole));
          },
        },
      };
    },
  },
  {
    name: "the cut lies one message behind the state",
    ports: (ports) => ({
      ...ports,
      registers: {
        ...ports.registers,
        set: (key, value, expected) => {
          if (!key.startsWith("snapshot/")) return ports.registers.set(key, value, expected);
          const pointer = JSON.parse(Buffer.from(value).toString());
          for (const kept of pointer.kept) kept.sequence = Math.max(0, kept.sequence - 1);
          return ports.registers.set(key, Buffer.from(JSON.stringify(pointer)), expected);
        },
      },
    }),
  },
  {
    name: "state outlives a failure: the next life begins with the last one's program",
    pipeline: (pipeline) => {
      const programs = new Map<string, Program>();
      return {
        ...plain(pipeline),
        create: (context) => {
          const program = programs.get(context.task) ?? pipeline.create(context);
          programs.set(context.task, program);
          return program;
        },
      };
    },
  },
  {
    name: "one marker for all streams: the farthest one counts",
    ports: (ports) =>
      withLog(ports, (log) => {
        const farthest = new Map<string, StoredMarker>();
        return {
          readMarker: async (stream, task) => {
            const marker = await log.readMarker(stream, task);
            const most = farthest.get(task);
            if (marker && (most === undefined || marker.sequence > most.sequence)) farthest.set(task, marker);
            return marker && { ...marker, sequence: most?.sequence ?? 0, index: most?.index ?? 0 };
          },
        };
      }),
  },
  {
    name: "after a gap in the deliveries the reader goes on with what comes next",
    ports: (ports, { random }) =>
      withLog(ports, (log) => ({
        read: async (what) => dropping(await log.read(what), () => random.chance(0.02)),
      })),
  },
  {
    name: "after a repartition the history is read by its former partitions",
    ports: (ports) =>
      withLog(ports, (log) => ({ info: async (stream) => ({ ...(await log.info(stream)), relaidThrough: 0 }) })),
  },
  {
    name: "a repartition keeps what the former layout has said",
    operator: (ports) => ({ ...ports, layouts: { ...ports.layouts, renew: async () => undefined } }),
  },
  {
    name: "a sink keeps the rows of the layout before a repartition",
    sink: (sink) => ({ ...sink, forget: async () => undefined }),
  },
  {
    name: "a sink that takes over does not ask which block may still be on its way",
    plan: (plan) => ({ ...plan, database: { ...plan.database, isRemote: true, late01: 0.6 } }),
    sinkPorts: (ports) => {
      const asked = new Set<string>();
      return {
        ...ports,
        registers: {
          ...ports.registers,
          get: async (key) => {
            const found = await ports.registers.get(key);
            if (!key.startsWith("block/") || asked.has(key)) return found;
            asked.add(key);
            return found && { ...found, value: Buffer.from("{}") };
          },
        },
      };
    },
  },
  {
    name: "a sink takes a block for stored because the database knows its token",
    sink: (sink) => ({
      ...sink,
      count: async (table, incarnation, messages) => (messages ? 1 : sink.count(table, incarnation)),
    }),
  },
  {
    name: "a sink's retry carries another token",
    sink: (sink) => {
      let attempts = 0;
      return { ...sink, write: (table, rows, token) => sink.write(table, rows, `${token}/${++attempts}`) };
    },
  },
];

const known = new Map<string, string>();

function withLog(ports: Ports, otherwise: (log: Log) => Partial<Log>): Ports {
  return { ...ports, log: { ...ports.log, ...otherwise(ports.log) } };
}

/** Says that a batch is stored, and stores it a while later; nobody hears of what becomes of it. */
function acknowledgingFirst(log: Log): Partial<Log> {
  const behind = new Map<string, Promise<StoredMarker>>();
  return {
    writeBatch: async (batch) => {
      const lane = `${batch.stream} ${batch.task}`;
      if (batch.messages.length === 0) {
        const stored = await log.writeBatch(batch);
        behind.set(lane, Promise.resolve(stored));
        return stored;
      }
      const before = behind.get(lane) ?? Promise.resolve({ ...batch.marker, storedAt: batch.expectedAt });
      const writing = before.then(({ storedAt }) => log.writeBatch({ ...batch, expectedAt: storedAt }));
      writing.catch(() => undefined);
      behind.set(lane, writing);
      return { ...batch.marker, storedAt: batch.expectedAt };
    },
  };
}

function shifted(what: Parameters<Log["read"]>[0], by: number): Parameters<Log["read"]>[0] {
  return what.fromSequence > 1 ? { ...what, fromSequence: what.fromSequence + by } : what;
}

function dropping(reader: LogReader, drops: () => boolean): LogReader {
  return {
    next: async (most) => {
      const messages = await reader.next(most);
      const left: readonly LogMessage[] = drops() ? messages.slice(1) : messages;
      return left.length > 0 ? left : messages;
    },
    close: () => reader.close(),
  };
}

function plain({ name, summary, source, writes, steps, version, create }: Pipeline): Pipeline {
  return { name, summary, source, writes, steps, version, create };
}

function withProgram(pipeline: Pipeline, otherwise: (program: Program) => Partial<Program>): Pipeline {
  return {
    ...plain(pipeline),
    create: (context) => {
      const program = pipeline.create(context);
      return wrapProgram(program, otherwise(program));
    },
  };
}

function hash(output: Output, salt: number): number {
  let value = salt;
  for (const char of JSON.stringify(output.record)) value = (Math.imul(value, 31) + char.charCodeAt(0)) >>> 0;
  return value;
}
