import t from "tap";
import { merge, type ProcessStatus } from "../../../src/cli/up/cluster.js";
import { reasonsNotReady, waitsOf } from "../../../src/cli/up/readiness.js";
import type { SinkThreadStatus } from "../../../src/cli/up/sink-thread.js";

const solver = { requests: 0, superseded: 0, plans: 0, failed: 0 };
const closed: SinkThreadStatus = {
  ...{
    stored: {},
    poisoned: { github: 0, telemetry: 0, notify: 0 },
    place: "",
    refusal: null,
    failures: [],
    sinks: [],
  },
};
const wait = { sinceMs: Date.UTC(2026, 0, 2, 3, 4, 5), failures: 9, reason: "writing 5 rows failed: ECONNREFUSED" };
const sink = { stream: "accepted", position: 5, lag: 2, bufferedBytes: 100, wait: null };
const view = (...sinks: SinkThreadStatus[]) =>
  merge(sinks.map((sinks, i): ProcessStatus => ({ process: `host/${i}`, tasks: [], solver, sinks })));

t.test("a database that cannot be opened is a reason, and it is said which", async (t) => {
  t.same(reasonsNotReady(view(closed), 0, undefined, []), ["the database is not open"]);
  const refused = { ...closed, refusal: "connecting to ClickHouse at http://ch:8123 failed: ECONNREFUSED" };
  t.same(reasonsNotReady(view(closed, refused), 0, undefined, []), [`the database is not open: ${refused.refusal}`]);
  const elsewhere = { ...closed, place: "http://ch:8123/millrace", sinks: [sink] };
  t.same(reasonsNotReady(view(refused, elsewhere), 0, undefined, []), [], "another process has it");
  t.equal(view(refused, elsewhere).sinks?.owner, "host/1");
  t.same(waitsOf(view(refused, elsewhere)), []);
});

t.test("limits are reasons, a sink that waits for its database is none", async (t) => {
  const waiting = view({
    ...closed,
    place: "x",
    sinks: [
      { ...sink, wait },
      { ...sink, stream: "alerts" },
    ],
  });
  t.same(reasonsNotReady(waiting, 0, undefined, [undefined, "the disk is full"]), ["the disk is full"]);
  t.same(reasonsNotReady(waiting, 1, undefined, []), ["nobody runs partition 0 yet"]);
  t.same(waitsOf(waiting), [
    "sink accepted waits since 2026-01-02T03:04:05.000Z, 2 messages behind: writing 5 rows failed: ECONNREFUSED",
  ]);
});
