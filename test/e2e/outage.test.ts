import { execFile } from "node:child_process";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import t from "tap";
import { packageRoot } from "../../src/core/index.js";
import { startFront, temporaryDirectory } from "../sinks/clickhouse/support.js";
import { startMillrace, temporaryDir, waitFor } from "../support/millrace.js";

const MAIN = join(packageRoot(), "build/src/cli/main.js");

t.test(
  "while ClickHouse is away doors take, the operator sees it, and afterwards every row is there once",
  async (t) => {
    const front = await startFront(t, await temporaryDirectory(t));
    const dataDir = temporaryDir("outage");
    const running = await startMillrace(dataDir, ["--no-replay", "--clickhouse-url", front.url]);
    t.teardown(async () => {
      await running.stop();
      rmSync(dataDir, { recursive: true, force: true });
    });
    const { url } = running.instance;
    let sent = 0;
    const post = async (count: number): Promise<void> => {
      const readings = Array.from({ length: count }, () => {
        const n = sent++;
        const ts = Date.now() - 60_000 + n;
        return { id: `e${n}`, site: "s", equipment: `truck-${n % 5}`, group: "status", ts, values: { payloadT: n } };
      });
      const headers = { authorization: `Bearer ${running.key}`, "content-type": "application/json" };
      const answer = await fetch(`${url}/api/v1/telemetry`, {
        method: "POST",
        headers,
        body: JSON.stringify(readings),
      });
      t.equal(answer.status, 202, `the door takes ${count} readings`);
    };
    const health = async () => {
      const response = await fetch(`${url}/readyz`);
      return { status: response.status, body: (await response.json()) as { ready: boolean; waits: string[] } };
    };
    const metrics = async () => (await fetch(`${url}/metrics`)).text();
    const metric = async (line: string): Promise<number> => {
      return Number(
        (await metrics())
          .split("\n")
          .find((each) => each.startsWith(`${line} `))
          ?.slice(line.length + 1),
      );
    };
    const waiting = 'millrace_sink_waiting_seconds{stream="accepted"}';
    const allStored = async () => (await running.stats()).telemetry.stored === sent || undefined;

    await post(100);
    await waitFor(60_000, allStored);
    const hot = await waitFor(60_000, async () => {
      await post(1); // one message in eight counts for the hot keys, and several may share one
      const lines = (await metrics()).split("\n");
      const found = lines.filter((line) => line.startsWith('millrace_task_hot_key_ratio{task="mine.telemetry/'));
      return found.length > 0 ? found : undefined;
    });
    await waitFor(60_000, allStored);
    t.ok(hot.length <= 5, "five keys were sent");
    t.match(hot[0], /,key="s\.truck-[0-4]"\} (0\.\d+|1)$/, "the busiest keys are in the metrics");
    t.match(await health(), { status: 200, body: { ready: true, reasons: [], waits: [] } });
    t.equal(await metric(waiting), 0);

    await front.kill();
    await post(500);
    const waits = await waitFor(60_000, async () => {
      const { body } = await health();
      return body.waits.find((wait) => wait.startsWith("sink accepted "));
    });
    t.match(waits, /^sink accepted waits since \d{4}-.*, \d+ messages behind: .*ECONNREFUSED/);
    t.match(await health(), { status: 200, body: { ready: true } }, "callers need not go elsewhere");
    t.ok((await metric(waiting)) > 0, "it is in the metrics");
    const { stdout } = await promisify(execFile)(process.execPath, [MAIN, "tasks", "--json", "--data-dir", dataDir]);
    const sinks = (JSON.parse(stdout) as { sinks: { stream: string }[] }).sinks;
    const reason = /ECONNREFUSED/;
    t.match(
      sinks.find(({ stream }) => stream === "accepted"),
      { owner: /\/\d+$/, state: "waiting", lag: Number, waitingSince: /^\d{4}-/, reason },
      "and in millrace tasks",
    );
    await post(500);

    await front.start();
    await waitFor(60_000, allStored);
    await waitFor(60_000, async () => (await health()).body.waits.length === 0 || undefined);
    t.equal(await metric(waiting), 0, "nothing waits any more");
    const rows = await running.query("SELECT count(), uniqExact(event_id), uniqExact(_id) FROM readings");
    t.same(
      rows.map((row) => row.map(Number)),
      [[sent, sent, sent]],
      "each reading once",
    );
    const twice = "SELECT count() - uniqExact(_id) FROM";
    for (const table of ["features", "alerts", "anomalies"])
      t.same(
        (await running.query(`${twice} ${table}`)).map(([n]) => Number(n)),
        [0],
        `none twice in ${table}`,
      );
  },
);
