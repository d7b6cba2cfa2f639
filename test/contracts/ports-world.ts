import type { Clock, Log, Objects, Registers, StreamSpec } from "../../src/core/index.js";
import { systemClock } from "../../src/core/index.js";
import { openLink } from "../../src/streams/connection.js";
import { connectLog } from "../../src/streams/index.js";
import { Broker } from "../sim/world/broker.js";
import { simulatedPorts } from "../sim/world/ports.js";
import { PERFECT, Process } from "../sim/world/process.js";
import { seeded } from "../sim/world/random.js";
import { Scheduler } from "../sim/world/scheduler.js";
import { startNats } from "../support/nats.js";
import { startProxy } from "../support/proxy.js";

/** One process's ports, and what can happen to its wire. */
export interface Client {
  readonly log: Log;
  readonly objects: Objects;
  readonly registers: Registers;
  readonly clock: Clock;
  /** From now on requests are done, and their answers lost. */
  mute(): void;
  /** It can speak and hear again. */
  heal(): Promise<void>;
}

/** A broker with what its operators can do to it. */
export interface PortsWorld {
  client(name: string): Promise<Client>;
  /** Deletes the stream and makes it again. */
  recreate(spec: StreamSpec): Promise<void>;
  /** Removes messages up to and including `through`. */
  purge(stream: string, through: number): Promise<void>;
  stop(): Promise<void>;
}

/** Both worlds behind the ports. What holds in one of them only, the simulation proves nothing about. */
export const portsWorlds: Readonly<Record<string, () => Promise<PortsWorld>>> = {
  simulated: simulatedWorld,
  JetStream: realWorld,
};

async function simulatedWorld(): Promise<PortsWorld> {
  const scheduler = new Scheduler();
  const broker = new Broker();
  let isStopped = false;
  const pump = async () => {
    while (!isStopped) {
      await scheduler.run(Number.POSITIVE_INFINITY, () => isStopped);
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  const pumping = pump();
  return {
    async client(name) {
      const random = seeded(name.length);
      const faults = { ...PERFECT };
      const clock = { skewMs: 0, rate: 1 };
      const trace = () => undefined;
      const process = new Process({ name, scheduler, broker, random, faults, clock, trace });
      return {
        ...simulatedPorts(process, scheduler, random),
        clock: process.clock,
        mute: () => void Object.assign(faults, { answerLost01: 1 }),
        heal: async () => void Object.assign(faults, PERFECT),
      };
    },
    recreate: async ({ name }) => broker.recreate(name),
    purge: async (stream, through) => broker.purge(stream, through),
    async stop() {
      isStopped = true;
      await pumping;
    },
  };
}

async function realWorld(): Promise<PortsWorld> {
  const server = await startNats();
  const operator = await openLink({ url: server.url, name: "operator" });
  const closers: (() => Promise<unknown>)[] = [];
  return {
    async client(name) {
      const proxy = await startProxy(server.url);
      const connection = await connectLog({ url: proxy.url, name, timeoutMs: 800 });
      closers.push(() => connection.close().then(() => proxy.stop()));
      return {
        ...connection,
        clock: systemClock,
        mute: () => proxy.mute(),
        async heal() {
          proxy.cut();
          while (!(await connection.log.info("in").catch(() => false))) await systemClock.sleep(50);
        },
      };
    },
    async recreate(spec) {
      await operator.jsm.streams.delete(spec.name);
      const { log, close } = await connectLog({ url: server.url, name: "recreating" });
      await log.ensureStream(spec);
      await close();
    },
    purge: async (stream, through) => void (await operator.jsm.streams.purge(stream, { seq: through + 1 })),
    async stop() {
      for (const close of closers) await close();
      await operator.nc.close();
      await server.stop();
    },
  };
}
