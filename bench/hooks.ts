import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { Notice, NoticeOutcome } from "../src/core/index.js";
import type { Receiver } from "../src/sinks/index.js";
import { connectLog, streamSpecs } from "../src/streams/index.js";
import { alert, notice } from "../test/sinks/notify/notices.js";
import { readAll } from "../test/support/log.js";
import { startNats } from "../test/support/nats.js";
import { seededRandom } from "../test/support/random.js";
import { type Fate, startReceivers } from "../test/support/receivers.js";
import { type Result, report } from "./support/report.js";

/**
 * Notices to receivers that say "slow down" (20 %), fail (10 %) and hang (5 %), while the outbox is killed with SIGKILL again and again.
 * Who can tell repeats (webhook) or be asked (bot) also takes half of what hangs: the answer is lost, not the message.
 *
 * --notices N a receiver (default 20), --seed N.
 */
const value = (name: string, otherwise: number) => {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? otherwise : Number(process.argv[at + 1]);
};
const NOTICES = value("notices", 20);
const SEED = value("seed", 1);
const OUTBOX = fileURLToPath(new URL("hooks-outbox.js", import.meta.url));
const GIVE_UP_MS = 10 * 60_000;
/** The mock's clock is not the sender's. */
const JITTER_MS = 40;

const ENTRIES: readonly (Receiver & { readonly name: string })[] = [
  ...many(4, (n) => ({ ...named("hook", n), kind: "webhook", url: `env:hook/${n}`, signedWith: "env:k" }) as const),
  ...many(4, (n) => ({ ...named("slack", n), kind: "slack", webhook: `env:slack/${n}` }) as const),
  ...many(1, (n) => ({ ...named("bot", n), kind: "slack-bot", token: "env:t", channel: "C01234" }) as const),
  ...many(3, (n) => ({ ...named("teams", n), kind: "teams", workflow: `env:teams/${n}` }) as const),
];

const chance = seededRandom(SEED);
const nats = await startNats();
const { log, close } = await connectLog({ url: nats.url, name: "bench-hooks" });
for (const spec of streamSpecs(1)) if (spec.name === "notify" || spec.name === "dead") await log.ensureStream(spec);
const world = await startReceivers(fateOf);
let isOver = false;
let kills = 0;
const running = keepKilling();
try {
  for (let n = 0; n < NOTICES; n++) {
    for (const { name } of ENTRIES) await request(name, `${name}-${n}`);
  }
  const outcomes = await allEnded(NOTICES * ENTRIES.length);
  report("hooks", judge(outcomes));
} finally {
  isOver = true;
  await running;
  await world.close();
  await close();
  await nats.stop();
}

function judge(outcomes: readonly NoticeOutcome[]): readonly Result[] {
  const results: Result[] = [
    { name: "kills", metric: "SIGKILL of the outbox", value: kills, unit: "kills", limit: 3, better: "higher" },
  ];
  for (const kind of ["hook", "slack", "bot", "teams"]) {
    const names = ENTRIES.map(({ name }) => name).filter((name) => name.startsWith(kind));
    const own = outcomes.filter(({ receiver }) => names.includes(receiver));
    const times = new Map<string, number>();
    for (const { key, path } of world.taken.filter(({ path }) => isOf(path, kind))) {
      times.set(path + key, (times.get(path + key) ?? 0) + 1);
    }
    const repeats = [...times.values()].reduce((sum, count) => sum + count - 1, 0);
    const marked = own.filter(({ maybeRepeated }) => maybeRepeated).length;
    const count = (metric: string, value: number, limit: number | null) =>
      results.push({ name: kind, metric, value, unit: "notices", limit, better: "lower" });
    count("lost", names.length * NOTICES - times.size, 0);
    count("dead", own.filter(({ result }) => result === "dead").length, 0);
    // A webhook is told again with the same key, which is what it drops repeats by.
    count("told twice", repeats, kind === "bot" ? 0 : kind === "hook" ? null : kills * names.length);
    if (kind === "slack" || kind === "teams")
      count("told twice, not marked as possible", Math.max(0, repeats - marked), 0);
    const limit = kind === "slack" || kind === "bot" ? 1 : kind === "teams" ? 4 : 10;
    const most = Math.max(...[...world.asked].filter(([path]) => isOf(path, kind)).map(([, at]) => mostInASecond(at)));
    results.push({ name: kind, metric: "most in a second", value: most, unit: "requests", limit, better: "lower" });
  }
  return results;
}

function isOf(path: string, kind: string): boolean {
  return kind === "bot" ? path.startsWith("/api/") : path.startsWith(`/${kind}/`);
}

function mostInASecond(times: readonly number[]): number {
  return Math.max(0, ...times.map((from) => times.filter((at) => at >= from && at < from + 1_000 - JITTER_MS).length));
}

function fateOf(path: string): Fate {
  const roll = chance();
  if (roll < 0.2) return "busy";
  if (roll < 0.3) return "fail";
  if (roll >= 0.35) return "take";
  const isTold = path.startsWith("/api/") || path.startsWith("/hook/");
  return isTold && chance() < 0.5 ? "take-and-hang" : "hang";
}

async function request(receiver: string, key: string): Promise<void> {
  const said: Notice = notice(key, { receiver, group: key, alerts: [alert(1, { title: `alert ${key}` })] });
  await log.publish({ subject: `notify.${receiver}.request`, data: Buffer.from(JSON.stringify(said)) });
}

async function allEnded(count: number): Promise<readonly NoticeOutcome[]> {
  const startedMs = Date.now();
  for (;;) {
    const messages = await readAll(log, "notify", "notify.*.outcome");
    process.stderr.write(`\r${messages.length} of ${count} notices, ${kills} kills `);
    if (messages.length >= count) {
      process.stderr.write("\n");
      return messages.map(({ data }) => JSON.parse(Buffer.from(data).toString()) as NoticeOutcome);
    }
    if (Date.now() - startedMs > GIVE_UP_MS) throw new Error(`${messages.length} of ${count} notices ended`);
    await pause(500);
  }
}

async function keepKilling(): Promise<void> {
  while (!isOver) {
    const child = spawn(process.execPath, [OUTBOX, nats.url, world.url, JSON.stringify(ENTRIES)], {
      stdio: ["ignore", "ignore", "inherit"],
    });
    await lifeOf(child, 2_000 + chance() * 4_000);
    if (!isOver) kills++;
    child.kill("SIGKILL");
    if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  }
}

async function lifeOf(child: ChildProcess, ms: number): Promise<void> {
  const untilMs = Date.now() + ms;
  while (!isOver && Date.now() < untilMs) {
    if (child.exitCode !== null) throw new Error(`the outbox ended with ${child.exitCode}`);
    await pause(50);
  }
}

function named(kind: string, n: number) {
  return { name: `${kind}-${n}`, language: "en" } as const;
}

function many<T>(count: number, make: (n: number) => T): readonly T[] {
  return Array.from({ length: count }, (_, n) => make(n));
}
