// One server under test in a process of its own. Commands and answers go over the IPC channel.
import { millraceOnLog, relayOnLog } from "./log-servers.js";
import { waitedUs } from "./scheduler.js";
import { type Broadcaster, bareUws, millrace, plainWs, socketIo } from "./servers.js";

/** `…-log`: on a real log, whose address is the second argument. */
export type Kind = "millrace" | "millrace-node" | "ws" | "socket.io" | "uws" | "millrace-log" | "relay-log";

/** `rate`: texts a second, 0 to stop. */
export type Command =
  | {
      readonly op: "offer";
      readonly rate: number;
      readonly bytes: number;
      readonly groups: number;
      readonly channels: boolean;
    }
  | {
      readonly op: "usage";
      /** Garbage first. It costs tens of ms, more where more is held, so not around what is timed. */
      readonly collect: boolean;
    };
export interface Usage {
  /** Of all threads, user and system. */
  readonly cpuUs: number;
  readonly systemUs: number;
  readonly rssBytes: number;
  /** Ready to run and kept from it, because something else had the core: since the start, of the main thread. */
  readonly waitedUs: number;
  /** Texts handed over since the start, and how many there should have been. */
  readonly offered: number;
  readonly due: number;
}

const KINDS: Readonly<Record<Kind, (url: string, wantedPort: number) => Promise<Broadcaster>>> = {
  millrace: () => millrace("uws"),
  "millrace-node": () => millrace("node"),
  ws: plainWs,
  "socket.io": socketIo,
  uws: bareUws,
  "millrace-log": millraceOnLog,
  "relay-log": relayOnLog,
};

const { port, broadcast } = await KINDS[process.argv[2] as Kind](process.argv[3] ?? "", Number(process.argv[4] ?? 0));
let timer: NodeJS.Timeout | undefined;
let offered = 0;
let due = 0;

/**
 * At a fixed rate, each text when it is due: an interval drifts, and where it does, two texts leave in one write. What was due while the
 * loop was busy is made up for, and counted as late by its time stamp.
 */
function offer({ rate, bytes, groups, channels }: Extract<Command, { op: "offer" }>): void {
  clearTimeout(timer);
  if (rate === 0) return;
  const startMs = performance.now();
  const before = offered;
  const dueMs = () => ((offered - before + 1) * 1_000) / rate;
  const text = (stampUs: number) => {
    const head = `{"t":${stampUs},"severity":"critical","key":"g${offered % groups}","text":"`;
    return Buffer.from(`${head}${"x".repeat(Math.max(0, bytes - head.length - 2))}"}`);
  };
  const next = () => {
    const elapsedMs = performance.now() - startMs;
    due = before + Math.floor((elapsedMs * rate) / 1_000);
    while (offered < due) {
      const stampUs = Math.round((performance.timeOrigin + startMs + dueMs()) * 1_000);
      const stamped = text(Math.min(stampUs, Math.round((performance.timeOrigin + performance.now()) * 1_000)));
      broadcast(stamped, channels ? offered % groups : undefined);
      offered++;
    }
    timer = setTimeout(next, Math.ceil(dueMs() + startMs - performance.now()));
  };
  next();
}

process.on("message", (command: Command) => {
  if (command.op === "offer") offer(command);
  else {
    if (command.collect) global.gc?.();
    const { user, system } = process.cpuUsage();
    process.send?.({
      cpuUs: user + system,
      systemUs: system,
      rssBytes: process.memoryUsage.rss(),
      waitedUs: waitedUs(process.pid),
      offered,
      due,
    } satisfies Usage);
  }
});
process.on("disconnect", () => process.exit(0));
process.send?.({ port });
