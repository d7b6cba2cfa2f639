import { pino } from "pino";
import t from "tap";
import type { Alert, Inference, LogMessage, Pipeline, Program } from "../../src/core/index.js";
import { backtest, Task } from "../../src/runtime/index.js";
import { type Client, portsWorlds } from "../contracts/ports-world.js";

const HOUR_MS = 3_600_000;
const START_MS = Date.UTC(2026, 9, 1);
const inference: Inference = { run: async () => new Float32Array() };
const at = (hour: number): number => START_MS + hour * HOUR_MS;

/** Raises an alert for each value above a threshold, which a control message changes, and which grows by what it has seen. */
function limits({ version = 1, drift = 0 } = {}): Pipeline {
  return {
    name: "test.limits",
    summary: "values above a threshold",
    source: "in",
    writes: ["alerts"],
    steps: [
      { name: "control detector", kind: "source", detail: "_ctl.detector" },
      { name: "sites", kind: "operator", detail: "table of _ctl.sites" },
    ],
    version,
    create(): Program {
      let state = { threshold: 10, seen: 0, watermarkMs: 0 };
      return {
        apply({ subject, data }: LogMessage, _ahead, emit) {
          const body = JSON.parse(Buffer.from(data).toString());
          if (subject.includes("_ctl.detector")) state = { ...state, threshold: body.threshold };
          if (subject.includes("._ctl.")) return;
          state = { ...state, seen: state.seen + 1, watermarkMs: body.at };
          if (body.value <= state.threshold) return;
          const windowMs = body.at + drift;
          const window = { start: new Date(windowMs).toISOString(), end: new Date(windowMs + HOUR_MS).toISOString() };
          const alert = { schema: "millrace.alert/1", fingerprint: body.key, pipeline: "test.limits", window };
          const record = { ...alert, ts: new Date(body.at).toISOString(), score: state.seen } as unknown as Alert;
          emit({ stream: "alerts", subject: "alerts.0.mine", record });
        },
        counters: () => ({ received: state.seen, duplicates: 0, deadLettered: 0, late: 0, accepted: state.seen }),
        watermarkMs: () => state.watermarkMs,
        save: () => Buffer.from(JSON.stringify(state)),
        load(bytes) {
          state = JSON.parse(Buffer.from(bytes).toString());
        },
      };
    },
  };
}

/** Values 0 to 19, one an hour; the task is stopped after 8, so that a snapshot lies there. */
async function played(): Promise<{ client: Client; stop: () => Promise<void> }> {
  const world = await (portsWorlds["simulated"] as () => ReturnType<NonNullable<(typeof portsWorlds)[string]>>)();
  const client = await world.client("test");
  for (const name of ["in", "alerts"])
    await client.log.ensureStream({ name, subjects: [`${name}.>`], maxBytes: 1_000_000 });
  const publish = async (from: number, to: number) => {
    for (let value = from; value < to; value++) {
      const body = { key: `k${value % 3}`, at: at(value), value };
      await client.log.publish({ subject: "in.0.e", data: Buffer.from(JSON.stringify(body)) });
    }
  };
  const run = async (epoch: number, until: number) => {
    const logger = pino({ level: "silent" });
    const task = new Task({ ...client, pipeline: limits(), partition: 0, partitions: 1, inference, logger });
    const stop = new AbortController();
    const lost = new AbortController().signal;
    const lease = { name: "p", holder: "t", epoch, lost, release: async () => undefined };
    const running = task.run(lease, stop.signal);
    while (task.status().position < until) await client.clock.sleep(10);
    stop.abort();
    await running;
  };
  await publish(0, 8);
  await run(1, 8);
  await publish(8, 14);
  await client.log.publish({
    subject: "in.0._ctl.detector",
    data: Buffer.from('{"threshold":16,"note":"less noise"}'),
  });
  await publish(14, 20);
  await run(2, 21);
  return { client, stop: () => world.stop() };
}

const hours = (alerts: readonly Alert[]): readonly number[] =>
  alerts.map(({ ts }) => (Date.parse(ts) - START_MS) / HOUR_MS);

t.test("a back-test says what would have been otherwise", async (t) => {
  const { client, stop } = await played();
  t.teardown(stop);
  const common = { ...client, partitions: 1, inference, fromMs: at(10), toMs: at(20) };
  const none = new Map<string, Record<string, unknown>>();

  const unchanged = await backtest({ ...common, pipeline: limits(), settings: none });
  t.same(unchanged, {
    starts: [{ partition: 0, sequence: 8, watermarkMs: at(7), messages: 13 }],
    ...{ gained: [], lost: [], moved: [], same: 6, warmingUp: 0 },
  });

  const settings = new Map([["detector", { threshold: 12 }]]);
  const other = await backtest({ ...common, pipeline: limits(), settings });
  t.same(hours(other.gained), [14, 15, 16], "the logged change to 16 is overridden as well");
  t.same(hours(other.lost), [11, 12], "below 12 nothing is raised");
  t.equal(other.same, 4);

  const drifting = await backtest({ ...common, pipeline: limits({ drift: 60_000 }), settings: none });
  t.equal(drifting.moved.length, 6);
  t.same([drifting.gained, drifting.lost, drifting.same], [[], [], 0]);
  t.equal(drifting.moved[0]?.before.fingerprint, drifting.moved[0]?.after.fingerprint);

  const early = await backtest({ ...common, fromMs: at(0), toMs: at(13), pipeline: limits(), settings: none });
  t.match(
    early,
    { starts: [{ sequence: 0, watermarkMs: null, messages: 21 }], same: 2 },
    "no snapshot before: from the beginning",
  );

  const unheard = backtest({ ...common, pipeline: limits(), settings: new Map([["rules", {}]]) });
  await t.rejects(unheard, {
    code: "MR_OPTION_INVALID",
    message: /it listens to the control messages detector, sites, not to rules/,
  });
  const silent = backtest({ ...common, pipeline: { ...limits(), writes: ["features"] }, settings: none });
  await t.rejects(silent, { code: "MR_OPTION_INVALID", message: /raises no alerts/ });
});

t.test("what a cold model says is left out", async (t) => {
  const { client, stop } = await played();
  t.teardown(stop);
  const { log, objects, registers } = client;
  for (const name of await objects.list("")) await objects.remove(name);
  const info: typeof log.info = async (stream) => ({
    ...(await log.info(stream)),
    firstSequence: stream === "in" ? 2 : 1,
  });
  const common = { objects, registers, log: { ...log, info }, partitions: 1, inference, settings: new Map() };
  const result = await backtest({ ...common, pipeline: limits(), fromMs: at(10), toMs: at(20) });
  t.match(result, { starts: [{ sequence: 0 }], warmingUp: 6, same: 0, gained: [] });
});
