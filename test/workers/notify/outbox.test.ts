import { pino } from "pino";
import t from "tap";
import { type Notice, type NoticeOutcome, systemClock } from "../../../src/core/index.js";
import { createNotifier, Outgoing, type Receiver } from "../../../src/sinks/index.js";
import { connectLog, streamSpecs } from "../../../src/streams/index.js";
import { Outbox } from "../../../src/workers/notify/outbox.js";
import { notice } from "../../sinks/notify/notices.js";
import { readAll } from "../../support/log.js";
import { startNats } from "../../support/nats.js";
import { type Fate, startReceivers } from "../../support/receivers.js";

t.setTimeout(120_000);

const SECRET = "S3cr3t-part";
/** Everything that was logged, at the most talkative. */
const logged: string[] = [];
const logger = pino({ level: "trace" }, { write: (line: string) => void logged.push(line) });

type Scope = { teardown(work: () => unknown): void };

async function stage(t: Scope, fate: (path: string) => Fate) {
  const nats = await startNats();
  const connection = await connectLog({ url: nats.url, name: "test" });
  const receivers = await startReceivers(fate);
  t.teardown(async () => {
    await receivers.close();
    await connection.close();
    await nats.stop();
  });
  const { log } = connection;
  for (const spec of streamSpecs(1)) if (spec.name === "notify" || spec.name === "dead") await log.ensureStream(spec);
  const secrets: Readonly<Record<string, string>> = {
    "env:HOOK": `${receivers.url}/hook?k=${SECRET}`,
    "env:SLACK": `${receivers.url}/slack?k=${SECRET}`,
    "env:KEY": SECRET,
  };
  const entries: readonly (Receiver & { readonly name: string })[] = [
    { kind: "webhook", name: "hook", language: "en", url: "env:HOOK", signedWith: "env:KEY" },
    { kind: "slack", name: "slack", language: "en", webhook: "env:SLACK" },
  ];
  const notifiers = (timeoutMs: number) => {
    const outgoing = new Outgoing({ allow: ["127.0.0.0/8"], timeoutMs });
    const links = { wall: undefined, acknowledge: undefined };
    const context = { secret: (name: string) => secrets[name] ?? "", outgoing, links };
    return new Map(entries.map((entry) => [entry.name, createNotifier(entry.name, entry, context)]));
  };
  return {
    log,
    receivers,
    say: (receiver: string, said: Notice) =>
      log.publish({ subject: `notify.${receiver}.request`, data: Buffer.from(JSON.stringify({ ...said, receiver })) }),
    /** Runs an outbox, as another process would, until the test or `stop` ends it. */
    async start({ timeoutMs = 300, ...options }: { maxAttempts?: number; timeoutMs?: number } = {}) {
      const stopping = new AbortController();
      const { log, registers, close } = await connectLog({ url: nats.url, name: "outbox" });
      const outbox = new Outbox({
        log,
        registers,
        clock: systemClock,
        logger,
        receivers: notifiers(timeoutMs),
        chance: () => 0,
        ...options,
      });
      const running = outbox.run(stopping.signal);
      running.catch(() => undefined); // told by `ended`
      const stop = async () => {
        stopping.abort();
        await running;
      };
      t.teardown(async () => {
        stopping.abort();
        await running.catch(() => undefined);
        await close();
      });
      return { stop, ended: running, waiting: () => outbox.waiting() };
    },
    outcomes: async (): Promise<readonly NoticeOutcome[]> => {
      const messages = await readAll(log, "notify", "notify.*.outcome");
      return messages.map(({ data }) => JSON.parse(Buffer.from(data).toString()) as NoticeOutcome);
    },
  };
}

/** Waits until the log has the outcome of so many notices. */
async function ended(world: { outcomes(): Promise<readonly NoticeOutcome[]> }, count: number) {
  for (;;) {
    const found = await world.outcomes();
    if (found.length >= count) return found;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

t.test("every notice in order, through refusals and pauses, and its end in the log", async (t) => {
  const fates: Fate[] = ["take", "busy", "fail", "hang", "take"];
  const world = await stage(t, (path) => (path === "/hook" ? (fates.shift() ?? "take") : "take"));
  for (const key of ["a", "b", "c"]) await world.say("hook", notice(key));
  const outbox = await world.start();
  const found = await ended(world, 3);
  t.match(found, [
    { kind: "notice-outcome", receiver: "hook", key: "a", result: "delivered", attempts: 1, maybeRepeated: false },
    { key: "b", result: "delivered", attempts: 4, maybeRepeated: false, reason: null },
    { key: "c", result: "delivered", attempts: 1 },
  ]);
  t.same(
    world.receivers.taken.map(({ key }) => key),
    ["a", "b", "c"],
  );
  await world.say("hook", notice("d"));
  await ended(world, 4);
  while (outbox.waiting()["hook"] !== 0) await new Promise((resolve) => setTimeout(resolve, 20)); // its own read comes a little later
  t.same(outbox.waiting(), { hook: 0, slack: 0 });
  await outbox.stop();
});

t.test("what is refused for good, or too often, is a dead letter and does not hold up the rest", async (t) => {
  const fates: Fate[] = ["refuse", "fail", "fail", "fail", "take"];
  const world = await stage(t, () => fates.shift() ?? "take");
  for (const key of ["a", "b", "c"]) await world.say("hook", notice(key));
  await world.start({ maxAttempts: 3 });
  t.match(await ended(world, 3), [
    { key: "a", result: "dead", attempts: 1, reason: "the webhook answered 404" },
    { key: "b", result: "dead", attempts: 3, reason: "the webhook answered 500" },
    { key: "c", result: "delivered" },
  ]);
  const letters = await readAll(world.log, "dead", "dead.notify");
  t.match(
    letters.map(({ data }) => JSON.parse(Buffer.from(data).toString())),
    [
      { domain: "notify", eventId: "a", reason: "hook was not told: the webhook answered 404" },
      { domain: "notify", eventId: "b" },
    ],
  );
});

t.test(
  "a crash between the answer and its record: told again where repeats are dropped, marked where they show",
  async (t) => {
    const fates: Record<string, Fate> = { "/hook": "take-and-hang", "/slack": "take-and-hang" };
    const world = await stage(t, (path) => fates[path] ?? "take");
    await world.say("hook", notice("a"));
    await world.say("slack", notice("s"));
    const first = await world.start({ timeoutMs: 60_000 });
    while (world.receivers.taken.length < 2) await new Promise((resolve) => setTimeout(resolve, 5));
    Object.assign(fates, { "/hook": "take", "/slack": "take" });
    const second = await world.start(); // the first one has not heard that it is over
    const found = await ended(world, 2);
    t.match(
      [...found].sort((a, b) => (a.key < b.key ? -1 : 1)),
      [
        { key: "a", result: "delivered", attempts: 2, maybeRepeated: false },
        { key: "s", result: "delivered", attempts: 2, maybeRepeated: true },
      ],
    );
    world.receivers.hangUp();
    await t.rejects(first.ended, { code: "MR_FENCED" }, "the former owner is stopped before it speaks");
    t.same(
      world.receivers.taken.map(({ key }) => key).filter((key) => key === "a"),
      ["a", "a"],
      "with the same key",
    );
    await second.stop();
    const before = world.receivers.taken.length;
    const third = await world.start();
    await world.say("hook", notice("z"));
    await ended(world, 3);
    t.equal(world.receivers.taken.length, before + 1, "a restart says nothing again");
    await third.stop();
  },
);

t.test("of a group's notices that wait only the newest is said", async (t) => {
  const world = await stage(t, () => "take");
  for (const key of ["a", "b", "c"]) await world.say("slack", notice(key, { group: "g" }));
  await world.say("slack", notice("over", { group: "g", status: "resolved" }));
  await world.start();
  t.match(await ended(world, 4), [
    { key: "a", result: "superseded", attempts: 0 },
    { key: "b", result: "superseded" },
    { key: "c", result: "delivered" },
    { key: "over", result: "delivered" },
  ]);
  const [first = 0, second = 0] = world.receivers.asked.get("/slack") ?? [];
  t.ok(second - first >= 990, `a second apart: ${second - first} ms`);
});

t.test("no address and no secret in anything written down", async (t) => {
  const fates: Record<string, Fate[]> = { "/hook": ["hang", "fail", "refuse"], "/slack": ["busy", "redirect"] };
  const world = await stage(t, (path) => fates[path]?.shift() ?? "take");
  await world.say("hook", notice("a"));
  await world.say("slack", notice("b"));
  await world.start();
  const ends = await ended(world, 2);
  t.same(
    ends.map(({ result }) => result),
    ["dead", "dead"],
  );
  const stored = [
    ...(await readAll(world.log, "notify", "notify.*.*")),
    ...(await readAll(world.log, "dead", "dead.>")),
  ];
  const written = [...logged, ...stored.map(({ data }) => Buffer.from(data).toString())];
  t.ok(logged.length > 4 && stored.length > 8, `${logged.length} lines logged, ${stored.length} messages stored`);
  t.same(
    written.filter((text) => text.includes(SECRET) || text.includes("?k=")),
    [],
  );
});
