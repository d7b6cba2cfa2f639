import { connect, type Update } from "millrace-client";
import t from "tap";
import { KEY, setting } from "./setting.js";

t.setTimeout(120_000);

/** Longer runs of the same: 60 s of cuts of 2 s are `MILLRACE_TEST_SECONDS=60`. */
const SECONDS = Number(process.env["MILLRACE_TEST_SECONDS"] ?? 6);
const CUT_EVERY_MS = (SECONDS * 1_000) / 6;
const CUT_MS = CUT_EVERY_MS / 5;

const after = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

t.test("every alert once, through cut lines, a gateway and a log that end and come back", async (t) => {
  const world = await setting(t);
  const seen: number[] = [];
  const others: Update<{ n: number }>[] = [];
  let lost = 0;
  const client = connect(world.url, {
    token: KEY,
    backoff: { firstMs: 20, lastMs: 200 },
    onStatus: ({ kind }) => {
      if (kind === "waiting") lost++;
    },
  });
  t.teardown(() => client.close());
  const options = { since: { epoch: world.epoch, offset: 0 } };
  const alerts = client.subscribe<{ n: number }>("alerts", options, (update) => {
    if (update.kind === "event") seen.push(update.data.n);
    else others.push(update);
  });

  let isOver = false;
  const writing = (async () => {
    while (!isOver) {
      await world.write(5);
      await after(5);
    }
  })();
  for (let round = 0; round < 6; round++) {
    await after(CUT_EVERY_MS - CUT_MS);
    world.cut();
    if (round === 2) {
      await world.stopGateway();
      await world.startGateway();
    }
    if (round === 4) {
      await world.nats.kill();
      await world.nats.start();
    }
    await after(CUT_MS);
    world.mend();
  }
  isOver = true;
  await writing;
  const written = await world.written();
  while (seen.length < written.length) await after(10);
  await after(100);
  t.comment(`${written.length} alerts, 6 cuts of ${CUT_MS} ms`);
  t.ok(lost >= 6, `the line was lost ${lost} times`);
  t.same(seen, written, "all of them, once, in order");
  t.same(others, [], "without a gap");
  t.equal(alerts.position?.epoch, world.epoch);
});

t.test("what is no longer in the log is a gap, not silence", async (t) => {
  const world = await setting(t);
  await world.write(3);
  const client = connect(world.url, { token: KEY });
  t.teardown(() => client.close());
  const alerts = client.subscribe<{ n: number }>("alerts", { since: { epoch: "another log", offset: 2 } });
  const updates = alerts[Symbol.asyncIterator]();
  const gap = (await updates.next()).value as Extract<Update<{ n: number }>, { kind: "gap" }>;
  t.match(gap, { kind: "gap", since: { epoch: "another log", offset: 2 }, position: { epoch: world.epoch } });
  await world.write(1);
  for (let offset = gap.position.offset + 1; offset <= 4; offset++) {
    t.match((await updates.next()).value, { kind: "event", offset, data: { n: offset } }, "from that position on");
  }
});

t.test("a reader slower than the stream gets everything all the same", async (t) => {
  const world = await setting(t);
  const client = connect(world.url, { token: KEY });
  t.teardown(() => client.close());
  const alerts = client.subscribe<{ n: number }>("alerts", {
    since: { epoch: world.epoch, offset: 0 },
    buffer: 8,
  });
  await world.write(200);
  const seen: number[] = [];
  for await (const update of alerts) {
    if (update.kind === "event") seen.push(update.data.n);
    if (seen.length === 200) break;
    if (seen.length % 50 === 0) await after(20);
  }
  t.same(seen, await world.written());
});
