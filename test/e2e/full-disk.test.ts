import { join } from "node:path";
import t from "tap";
import { startMillrace, waitFor } from "../support/millrace.js";
import { smallDisk } from "../support/small-disk.js";

const MB = 1024 * 1024;
const LARGE_MB = 16 * 1024;

t.test("the disk of log and database is full to the last byte: with room again all goes on by itself", async (t) => {
  const disk = smallDisk(LARGE_MB);
  if (disk === undefined) {
    t.comment("skipped: no right to mount a small disk here");
    return;
  }
  t.teardown(() => disk.remove());
  const running = await startMillrace(join(disk.path, "data"), ["--no-replay"]);
  t.teardown(() => running.stop());
  const { url } = running.instance;
  const acknowledged: string[] = [];
  let given = 0;
  const post = async (): Promise<number> => {
    const readings = Array.from({ length: 100 }, () => {
      const n = given++;
      const labels = { filler: "x".repeat(200) };
      return { id: `e${n}`, site: "s", equipment: "q", group: "g", ts: Date.now() - 60_000, values: { n }, labels };
    });
    const headers = { authorization: `Bearer ${running.key}`, "content-type": "application/json" };
    const answer = await fetch(`${url}/api/v1/telemetry`, { method: "POST", headers, body: JSON.stringify(readings) });
    if (answer.status === 202) acknowledged.push(...readings.map(({ id }) => id));
    return answer.status;
  };
  const reasons = async (): Promise<readonly string[]> => {
    const answer = await fetch(`${url}/readyz`);
    return ((await answer.json()) as { reasons: string[] }).reasons;
  };
  const restarts = async (): Promise<number> => {
    const text = await (await fetch(`${url}/metrics`)).text();
    return Number(/^millrace_log_restarts_total (\d+)$/m.exec(text)?.[1]);
  };
  const missing = async (): Promise<number> => {
    const rows = await running.query("SELECT event_id FROM readings LIMIT 100000");
    const stored = new Set(rows.map(([id]) => id));
    return acknowledged.filter((id) => !stored.has(id)).length;
  };

  for (let n = 0; n < 5; n++) t.equal(await post(), 202);
  await waitFor(60_000, async () => (await running.stats()).telemetry.stored === given || undefined);
  disk.resize(disk.usedBytes() + MB / 4);
  for (let n = 0; n < 1_000 && (await post()) === 202; n++);
  const told = await waitFor(60_000, async () => {
    disk.fill(0); // the doors may have refused in time, and what is removed meanwhile makes room
    return (await reasons()).find((reason) => /cannot write/.test(reason));
  });
  t.match(told, /(no space left|JetStream not enabled).*: it is restarted as soon as there is room/, "it is said why");
  t.equal(await restarts(), 0, "and there is no use in a restart yet");

  disk.resize(LARGE_MB * MB);
  await waitFor(120_000, async () => (await reasons()).length === 0 || undefined);
  t.ok((await restarts()) >= 1, "the log's server was restarted");
  t.equal(await post(), 202, "the doors take again");
  await waitFor(60_000, async () => (await missing()) === 0 || undefined);
  t.pass(`all ${acknowledged.length} of ${given} that were acknowledged are in the table`);
  const [counts] = await running.query("SELECT count(), uniqExact(event_id), uniqExact(_id) FROM readings");
  const [rows, ...unique] = (counts ?? []).map(Number);
  t.same(unique, [rows, rows], "each once");
});
