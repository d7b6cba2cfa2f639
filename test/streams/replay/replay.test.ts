import { setTimeout as pause } from "node:timers/promises";
import t, { type Test } from "tap";
import { createLogger, type HttpRoute, type Log } from "../../../src/core/index.js";
import {
  connectLog,
  createReplay,
  githubDoor,
  mqttDoor,
  type ReplayOptions,
  streamSpecs,
} from "../../../src/streams/index.js";
import { jumpingClock, wallClock } from "../../support/clock.js";
import { hostRoutes } from "../../support/http-host.js";
import { readAll } from "../../support/log.js";
import { startNats } from "../../support/nats.js";
import { type SampleSpec, writeSample } from "../../support/sample.js";
import { text } from "../../support/text.js";

const HOUR = 3_600_000;
/** On the grid of both streams' ticks. */
const START = Date.UTC(2022, 10, 7);
const PARTITIONS = 2;

const reading = (at: number, equipment: string, n: number) => ({
  at,
  topic: `millrace/v1/minez/${equipment}/status`,
  payload: `{"ts":${at},"values":{"n":${n}},"source":"sample"}`,
});
const delivery = (at: number, repo: string, n: number) => ({
  at,
  event: "push",
  delivery: `d-${n}`,
  body: JSON.stringify({
    repository: { name: repo, full_name: `rust-lang/${repo}` },
    at: new Date(at).toISOString().replace(".000", ""),
    n,
  }),
});

function sample(): SampleSpec {
  const github = Array.from({ length: 60 }, (_, n) => delivery(START + n * 600_000, `r${n % 4}`, n));
  const mine = Array.from({ length: 300 }, (_, n) => reading(START + n * 15_000 + 1_000, `t${n % 7}`, n));
  const sensors = Array.from({ length: 40 }, (_, n) => reading(START + 1_000 + n * 100_000, `s${n % 3}`, 1_000 + n));
  const noText = { at: START + 3_950_000, topic: "millrace/v1/x", payloadBase64: "/wA=" };
  return {
    github: { "github/deliveries.gz": github, "github/examples.gz": [delivery(START + HOUR, "example", 99)] },
    mine: {
      "mine/a.gz": [
        ...mine.slice(0, 20),
        { ...reading(START + 46_000, "t3", 3), at: START + 290_000 },
        ...mine.slice(20),
      ],
    },
    sensors: { "sensors/a.gz": [...sensors, noText] },
  };
}

async function setUp(t: Test, spec = sample()) {
  const server = await startNats();
  t.teardown(server.stop);
  const { log, registers, close } = await connectLog({ url: server.url, name: "test", timeoutMs: 1_500 });
  t.teardown(close);
  for (const each of streamSpecs(PARTITIONS)) await log.ensureStream(each);
  const files = writeSample(spec);
  t.teardown(files.remove);
  const mqtt = mqttDoor({ log, logger: createLogger("silent"), url: server.mqttUrl });
  t.teardown(mqtt.close);
  await mqtt.subscribed;
  const github = githubDoor({ log, secrets: ["s"], localKey: "k", maxPayloadBytes: 1_000_000 });
  const host = async (route: HttpRoute = github) => {
    const hosted = await hostRoutes([route]);
    t.teardown(hosted.stop);
    return `${hosted.url}/hooks/github`;
  };
  const options: ReplayOptions = {
    path: files.path,
    speed: "max",
    rebase: "none",
    webhookUrl: await host(),
    secret: "s",
    localKey: "k",
    mqttUrl: server.mqttUrl,
    log,
    registers,
    partitions: PARTITIONS,
    clock: wallClock,
  };
  return { server, log, options, host, github };
}

interface Seen {
  readonly kind: "event" | "tick";
  readonly partition: string;
  readonly text: string;
  readonly atMs: number;
  readonly retire: boolean;
}

/** A stream as a partition's task sees it: events with their time, ticks with theirs. */
async function timelineOf(log: Log, stream: "github" | "telemetry"): Promise<Seen[]> {
  const messages = [
    ...(await readAll(log, stream, `${stream}.*.*.*.*`)),
    ...(await readAll(log, stream, `${stream}.*._tick.*`)),
  ];
  return messages
    .sort((a, b) => a.sequence - b.sequence)
    .map(({ subject, data }) => {
      const [, partition = "", kind] = subject.split(".");
      const body = text(data);
      const tick = kind === "_tick" ? (JSON.parse(body) as { t: number; retire?: boolean }) : undefined;
      const time = /"ts":(\d+)/.exec(body)?.[1] ?? Date.parse(/"at":"([^"]+)"/.exec(body)?.[1] ?? "");
      return {
        kind: tick ? "tick" : "event",
        partition,
        text: body,
        atMs: tick?.t ?? Number(time),
        retire: tick?.retire === true,
      };
    });
}

/** What a tick promises: everything earlier is before it, everything later behind it. */
function broken(seen: readonly Seen[]): string[] {
  const faults: string[] = [];
  for (const partition of new Set(seen.map((each) => each.partition))) {
    let told = Number.NEGATIVE_INFINITY;
    for (const each of seen.filter((other) => other.partition === partition)) {
      if (each.kind === "event" && each.atMs <= told) faults.push(`${each.text} after the tick of ${told}`);
      if (each.kind === "tick" && each.atMs <= told) faults.push(`tick ${each.atMs} after ${told}`);
      if (each.kind === "tick") told = each.atMs;
    }
  }
  return faults;
}

const events = (seen: readonly Seen[]) => seen.filter(({ kind }) => kind === "event").map((each) => each.text);

t.test("the whole sample, through the doors, once, with ticks between", async (t) => {
  const { log, options } = await setUp(t);
  const replay = await createReplay(options);
  t.match(replay.progress(), { sent: 0, total: 403, clockMs: undefined, done: false });
  await replay.announce();
  await replay.announce();
  t.same([...(await log.countSubjects("telemetry", "telemetry.*._tick.sample")).values()], [1, 1], "announced once");
  await replay.run(new AbortController().signal);
  t.match(replay.progress(), { sent: 403, total: 403, done: true });

  const telemetry = await timelineOf(log, "telemetry");
  t.equal(events(telemetry).length, 342);
  t.same(
    broken(telemetry.filter(({ atMs }) => !Number.isNaN(atMs))).filter((fault) => !fault.includes('"n":3}')),
    [],
  );
  t.equal(events(telemetry).filter((each) => each.includes('"n":3}')).length, 2, "a repeat is sent like its original");
  const github = await timelineOf(log, "github");
  t.equal(events(github).length, 61);
  t.same(broken(github), []);
  for (const [seen, everyMs, firstMs, endMs] of [
    [telemetry, 60_000, START + 1_000, START + 4_486_000],
    [github, 1_800_000, START, START + 59 * 600_000],
  ] as const) {
    const ticks = seen.filter(({ kind, partition }) => kind === "tick" && partition === "0");
    t.equal(ticks[0]?.atMs, firstMs - 1, "announced the moment before");
    t.ok(
      ticks.slice(1, -1).every(({ atMs }) => atMs % everyMs === 0),
      "on the grid",
    );
    t.match(ticks.at(-1), { atMs: endMs, retire: true });
  }
  const push = (await readAll(log, "github", "github.*.*.*.*"))[0];
  t.same(
    ["Millrace-Source", "X-GitHub-Event", "X-GitHub-Delivery"].map((name) => push?.header(name)),
    ["sample", "push", "d-0"],
  );

  await t.test("again: nothing, it has retired", async (t) => {
    const { lastSequence } = await log.info("telemetry");
    const again = await createReplay(options);
    await again.announce();
    await again.run(new AbortController().signal);
    t.match(again.progress(), { sent: 403, done: true, clockMs: START + 4_486_000 });
    t.equal((await log.info("telemetry")).lastSequence, lastSequence);
  });
});

t.test("rebased to now: every source ends at the first start, also after a restart", async (t) => {
  const { log, options } = await setUp(t);
  const nowMs = Date.UTC(2026, 10, 20, 12, 0, 0, 789);
  const first = await createReplay({ ...options, rebase: "now", clock: { ...wallClock, nowMs: () => nowMs } });
  await first.announce();
  const later = await createReplay({ ...options, rebase: "now", clock: { ...wallClock, nowMs: () => nowMs + HOUR } });
  await later.run(new AbortController().signal);
  const newest = (seen: readonly Seen[]) =>
    Math.max(...seen.map(({ atMs }) => atMs).filter((atMs) => !Number.isNaN(atMs)));
  const [telemetry, github] = [await timelineOf(log, "telemetry"), await timelineOf(log, "github")];
  t.equal(newest(telemetry), Math.floor(nowMs / 1_000) * 1_000);
  t.equal(newest(github), Math.floor(nowMs / 1_000) * 1_000);
  t.ok(
    events(github).some((each) => each.includes('"at":"2022-11-07T01:00:00Z"')),
    "examples keep their times",
  );
  const last = (equipment: string) => [...telemetry].reverse().find((each) => each.text.includes(equipment))?.atMs;
  t.equal(last('"n":299}'), last('"n":1039}') === undefined ? undefined : Math.floor(nowMs / 1_000) * 1_000);
});

t.test("stopped and started again, many times: every record, first arrivals in the same order", async (t) => {
  const { log, options } = await setUp(t);
  await (await createReplay(options)).announce();
  let runs = 0;
  for (let done = false; !done; runs++) {
    const replay = await createReplay(options);
    const stop = new AbortController();
    const run = replay.run(stop.signal);
    const { sent } = replay.progress();
    await Promise.race([run, pause(20 + runs * 10)]);
    stop.abort();
    await run;
    done = replay.progress().done;
    t.ok(replay.progress().sent >= sent);
  }
  t.comment(`${runs} runs`);
  const { log: other, options: uninterrupted } = await setUp(t);
  await (await createReplay(uninterrupted)).run(new AbortController().signal);
  for (const stream of ["telemetry", "github"] as const) {
    const arrivals = async (from: Log) => [...new Set(events(await timelineOf(from, stream)))];
    t.same((await arrivals(log)).sort(), (await arrivals(other)).sort());
    const ticks = async (from: Log) => [
      ...new Set((await timelineOf(from, stream)).filter(({ kind }) => kind === "tick").map(({ atMs }) => atMs)),
    ];
    t.same(await ticks(log), await ticks(other), "the same ticks");
  }
});

t.test("speed: each stream over its own span, in the time asked for", async (t) => {
  const { options } = await setUp(t);
  const clock = jumpingClock(1_000_000);
  const replay = await createReplay({ ...options, speed: 2, durationMs: 60_000, clock });
  await replay.run(new AbortController().signal);
  t.ok(replay.progress().done);
  const tookMs = clock.nowMs() - 1_000_000;
  t.ok(tookMs >= 30_000 && tookMs < 31_000, `60 s of sample at speed 2 took ${tookMs} ms`);
  for (const speed of [0, -1, Number.NaN])
    await t.rejects(createReplay({ ...options, speed }), { code: "MR_OPTION_INVALID" });
});

t.test("doors that fail: what passes is sent again, what stays is thrown", async (t) => {
  const { log, options, host, github } = await setUp(t);
  let failures = 0;
  const moody = await host({
    ...github,
    async handle(request) {
      if (failures++ % 9 === 0) throw new Error("503");
      return github.handle(request);
    },
  });
  const replay = await createReplay({ ...options, webhookUrl: moody });
  await replay.run(new AbortController().signal);
  t.equal(events(await timelineOf(log, "github")).length, 61);
  t.same(broken(await timelineOf(log, "github")), []);
  const wrong = await createReplay({ ...options, secret: "wrong", source: "other" });
  await t.rejects(wrong.run(new AbortController().signal), {
    code: "MR_UNAUTHORIZED",
    message: /d-0 .*answered with 401/,
  });
  const nobody = await createReplay({ ...options, mqttUrl: "mqtt://127.0.0.1:1", source: "nobody" });
  await t.rejects(nobody.run(new AbortController().signal), { code: "MR_LOG_UNAVAILABLE" });
});

t.test("another source name goes into ticks, headers and readings", async (t) => {
  const { log, options } = await setUp(t);
  const replay = await createReplay({ ...options, source: "replay-2" });
  await replay.announce();
  await replay.run(new AbortController().signal);
  t.same([...(await log.countSubjects("github", "github.*._tick.sample")).values()], []);
  t.ok(
    (await readAll(log, "github", "github.*.*.*.*")).every(
      (message) => message.header("Millrace-Source") === "replay-2",
    ),
  );
  t.ok(events(await timelineOf(log, "telemetry")).every((each) => !each.includes('"sample"')));
});

t.test("kill -9 of the server under way: it waits, goes on and ends", async (t) => {
  const { server, log, options } = await setUp(t);
  const replay = await createReplay(options);
  await replay.announce();
  const run = replay.run(new AbortController().signal);
  while (replay.progress().sent < 60) await pause(2);
  await server.kill();
  await server.start();
  await run;
  t.match(replay.progress(), { sent: 403, done: true });
  t.equal(new Set(events(await timelineOf(log, "telemetry"))).size, 341, "all but the planted repeat are different");
});
