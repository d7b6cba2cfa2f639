import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import t from "tap";
import { connectClickhouse, createQueryRunner } from "../../../src/sinks/index.js";
import { seededRandom } from "../../support/random.js";
import { temporaryDirectory } from "./support.js";

function start(
  program: string,
  ...args: string[]
): { child: ChildProcess; firstLine: Promise<string>; ended: Promise<string> } {
  const script = fileURLToPath(new URL(program, import.meta.url));
  const child = spawn(process.execPath, [script, ...args], { stdio: ["ignore", "pipe", "inherit"] });
  let out = "";
  child.stdout?.setEncoding("utf8").on("data", (chunk: string) => {
    out += chunk;
  });
  const ended = once(child, "exit").then(([code, signal]) => `${code ?? signal}`);
  const firstLine = new Promise<string>((resolve) => {
    child.stdout?.on("data", () => out.includes("\n") && resolve(out.split("\n", 1)[0] ?? ""));
    void ended.then(() => resolve(out.split("\n", 1)[0] ?? ""));
  });
  return { child, firstLine, ended };
}

t.test(
  "in a worker thread it opens fast and ends cleanly, however the process ends",
  { timeout: 60_000 },
  async (t) => {
    const path = await temporaryDirectory(t);
    for (const way of ["close", "busy", "exit", "terminate", "signal"]) {
      const { child, firstLine, ended } = start("thread-child.js", path, way);
      const opened = JSON.parse(await firstLine) as { openedMs: number };
      const saidMs = performance.now();
      if (way === "signal") child.kill("SIGTERM");
      t.equal(await ended, "0", `${way}: exit code 0, no crash`);
      t.ok(performance.now() - saidMs < 8_000, `${way}: ends at once`);
      t.ok(opened.openedMs < 10_000, `${way}: opened in ${Math.round(opened.openedMs)} ms`);
    }
  },
);

t.test("kill -9 at random moments: nothing is lost, nothing is twice", { timeout: 120_000 }, async (t) => {
  const seed = 20_261_120;
  t.comment(`seed ${seed}`);
  const random = seededRandom(seed);
  const path = await temporaryDirectory(t);
  const messages = 2_000;
  const endings: string[] = [];
  while (endings.at(-1) !== "0" && endings.length < 30) {
    const { child, firstLine, ended } = start("crash-child.js", path, String(messages));
    await firstLine;
    const killMs = endings.length < 6 ? 20 + random() * 150 : 60_000;
    const timer = setTimeout(() => child.kill("SIGKILL"), killMs);
    endings.push(await ended);
    clearTimeout(timer);
  }
  t.comment(endings.join(" "));
  t.ok(endings.filter((ending) => ending === "SIGKILL").length >= 3, "it was killed while it wrote");
  t.equal(endings.at(-1), "0", "and came to its end");

  const clickhouse = await connectClickhouse({ path });
  t.teardown(() => clickhouse.close());
  const query = createQueryRunner(clickhouse);
  const [readings] = (
    await query("SELECT count(), uniqExact(event_id), uniqExact(_seq, _index), sum(_seq) FROM readings")
  ).rows;
  t.same(readings, [messages * 3, messages * 3, messages * 3, (3 * messages * (messages + 1)) / 2]);
  const [deliveries] = (await query("SELECT count(), uniqExact(event_id) FROM github_events")).rows;
  t.same(deliveries, [messages / 5, messages / 5]);
});

t.test("one directory, one process: the second is told what to do", async (t) => {
  const path = await temporaryDirectory(t);
  const { child, firstLine, ended } = start("thread-child.js", path, "stay");
  await firstLine;
  await t.rejects(connectClickhouse({ path }), {
    code: "MR_SINK_UNAVAILABLE",
    message: /Another process may have it open/,
  });
  child.kill("SIGKILL");
  await ended;
  const clickhouse = await connectClickhouse({ path });
  t.equal(clickhouse.kind, "embedded");
  t.match(clickhouse.version, /^\d+\.\d+/);
  await clickhouse.close();
  await clickhouse.close();
});

t.test("a URL: what is wrong is named, credentials are not", async (t) => {
  for (const url of ["clickhouse:8123", "tcp://h:9000", "mill:s3cret@host", ""]) {
    const error = await connectClickhouse({ url }).then(
      () => undefined,
      (reason: unknown) => reason as Error,
    );
    t.match(error, { code: "MR_OPTION_INVALID" }, url);
    t.notMatch(error?.message, /s3cret/);
  }
  await t.rejects(connectClickhouse({ url: "http://127.0.0.1:9/no-name!" }), { code: "MR_OPTION_INVALID" });
  const refused = await connectClickhouse({ url: "http://mill:s3cret@127.0.0.1:9/" }).catch(
    (error: unknown) => error as Error,
  );
  t.match(refused, { code: "MR_SINK_UNAVAILABLE", message: /http:\/\/127\.0\.0\.1:9\/millrace/ });
  t.notMatch(String(refused), /s3cret/);
});
