import t from "tap";
import {
  createLogger,
  type Log,
  type LogReader,
  MillraceError,
  type Plan,
  type PlanRequest,
} from "../../../src/core/index.js";
import { connectLog, streamSpecs } from "../../../src/streams/index.js";
import { createSolver, createSolverWorker, type Solver } from "../../../src/workers/solver/index.js";
import { startNats, type TestServer } from "../../support/nats.js";
import { planRequest, withoutShovel } from "./requests.js";

const quiet = createLogger("silent");
const spec = streamSpecs(4).filter(({ name }) => name === "plans");
const shared = createSolver();
t.teardown(() => shared.close());

interface StoredPlan extends Plan {
  readonly id: string;
}

t.test("every waiting request of another site is answered, once, in log order", async (t) => {
  const { log, start, plans } = await setUp(t);
  const a = await request(log, "a", planRequest({ site: "mine a" }));
  const b = await request(log, "b", withoutShovel("north", { site: "minez" }));
  const worker = start();
  const [first, second] = await plans(2);
  const { incarnation } = await log.info("plans");
  t.match(first, {
    id: `${incarnation}/solver/0/${a}/0`,
    requestId: "a",
    site: "mine a",
    schema: "millrace.plan/1",
    status: "optimal",
  });
  t.match(second, {
    id: `${incarnation}/solver/0/${b}/0`,
    requestId: "b",
    site: "minez",
    ts: "2026-06-01T12:00:00.000Z",
  });
  t.same([...(await log.countSubjects("plans", "plans.*.ready")).keys()].sort(), [
    "plans.mine%20a.ready",
    "plans.minez.ready",
  ]);
  t.same(await log.readMarker("plans", "solver").then((marker) => marker?.sequence), b);
  await worker.end();
  t.match(worker.counters(), { requests: 2, plans: 2, superseded: 0, failed: 0 });
});

t.test("of a site's requests that wait together only the newest is answered", async (t) => {
  const { log, start, plans } = await setUp(t);
  for (const id of ["a1", "a2", "b1", "a3", "b2", "a4"]) await request(log, id, planRequest({ site: id[0] ?? "" }));
  const worker = start();
  t.same(
    (await plans(2)).map(({ requestId }) => requestId),
    ["b2", "a4"],
  );
  await worker.end();
  t.match(worker.counters(), { requests: 6, plans: 2, superseded: 4 });
});

t.test("a restart, of the worker and of the server, answers nothing twice and misses nothing", async (t) => {
  const { server, log, start, plans, published } = await setUp(t);
  const ids = Array.from({ length: 12 }, (_, i) => `r${i}`);
  for (const [i, id] of ids.entries()) {
    await request(log, id, planRequest({ site: id, targetT: 5_000 + i }));
  }
  const before = start();
  await plans(3);
  await before.end();
  await server.kill();
  await server.start();
  start();
  t.same(
    (await plans(12)).map(({ requestId }) => requestId),
    ids,
  );
  await request(log, "last", planRequest({ site: "last" }));
  t.equal((await plans(13)).at(-1)?.requestId, "last");
  t.equal(await published(), 13);
});

t.test("two workers at once: each request has one plan", async (t) => {
  const { log, start, plans, published } = await setUp(t);
  start();
  start();
  for (let i = 0; i < 10; i++) await request(log, `r${i}`, planRequest({ site: `s${i}` }));
  const requests = (await plans(10)).map(({ requestId }) => requestId);
  t.equal(new Set(requests).size, 10);
  await request(log, "last", planRequest({ site: "last" }));
  await plans(11);
  t.equal(await published(), 11);
});

t.test(
  "a solver that fails twice is asked a third time; one that goes on failing leaves the plan in force",
  async (t) => {
    const { log, start, plans, published } = await setUp(t);
    let calls = 0;
    const moody: Solver = {
      solve: (milp) => {
        calls++;
        // Fails for "moody" until the third time, for "broken" (made known by its target of 1 t) always.
        const broken = milp.rowLower.includes(1);
        if (broken || calls < 3) return Promise.reject(new MillraceError("MR_SOLVER_FAILED", "no solution today"));
        return shared.solve(milp);
      },
      close: () => Promise.resolve(),
    };
    const worker = start({ solver: moody });
    await request(log, "moody", planRequest({ site: "moody" }));
    t.equal((await plans(1))[0]?.requestId, "moody");
    t.equal(calls, 3);
    await request(log, "broken", planRequest({ site: "broken", targetT: 1 }));
    await request(log, "after", planRequest({ site: "after" }));
    t.equal((await plans(2))[1]?.requestId, "after");
    await worker.end();
    t.match(worker.counters(), { plans: 2, failed: 1 });
    t.equal(await published(), 2);
  },
);

t.test("a request that cannot be read is left aside", async (t) => {
  const { log, start, plans } = await setUp(t);
  const worker = start();
  await log.publish({ subject: "plans.minez.request", data: Buffer.from('{"kind":"plan-request","trucks":"many"}') });
  await request(log, "good", planRequest());
  t.equal((await plans(1))[0]?.requestId, "good");
  await worker.end();
  t.equal(worker.counters().failed, 1);
});

t.test("a plan that breaks a rule of ours stops the worker", async (t) => {
  const { log, start } = await setUp(t);
  const solver: Solver = {
    solve: () => Promise.reject(new MillraceError("MR_OPTION_INVALID", "a programming error")),
    close: () => Promise.resolve(),
  };
  const worker = start({ solver });
  await request(log, "any", planRequest());
  await t.rejects(worker.done, { code: "MR_OPTION_INVALID" });
});

/** A server and a stream of the test's own. */
async function setUp(t: { teardown(done: () => unknown): void }) {
  const server: TestServer = await startNats();
  const connection = await connectLog({ url: server.url, name: "test" });
  const { log } = connection;
  for (const one of spec) await log.ensureStream(one);
  const reader: LogReader = await log.read({ stream: "plans", subjects: ["plans.*.ready"], fromSequence: 1 });
  const running: (() => Promise<void>)[] = [];
  t.teardown(async () => {
    for (const end of running) await end();
    await reader.close();
    await connection.close();
    await server.stop();
  });

  const seen: StoredPlan[] = [];
  return {
    server,
    log,
    start({ solver = shared }: { solver?: Solver } = {}) {
      const stop = new AbortController();
      const worker = createSolverWorker({ log, logger: quiet, solver, retryMs: 10 });
      const done = worker.run(stop.signal);
      const end = async () => {
        stop.abort();
        await done.catch(() => undefined);
      };
      running.push(end);
      return { ...worker, done, end };
    },
    /** Waits for the first `count` plans of the stream. */
    async plans(count: number): Promise<readonly StoredPlan[]> {
      while (seen.length < count) {
        for (const { data } of await reader.next(100))
          seen.push(JSON.parse(Buffer.from(data).toString()) as StoredPlan);
      }
      return seen.slice(0, count);
    },
    async published(): Promise<number> {
      return [...(await log.countSubjects("plans", "plans.*.ready")).values()].reduce((sum, count) => sum + count, 0);
    },
  };
}

async function request(log: Log, id: string, request: PlanRequest): Promise<number> {
  const subject = `plans.${request.site.replaceAll(" ", "%20")}.request`;
  return log.publish({ subject, data: Buffer.from(JSON.stringify({ id, ...request })) });
}
