import { setTimeout as delay } from "node:timers/promises";
import { pino } from "pino";
import t from "tap";
import { createTaskSet } from "../../../src/cli/up/task-set.js";
import type { Clock, Pipeline } from "../../../src/core/index.js";
import { emptyLog } from "../../support/log.js";
import { toyPipeline } from "../../support/toy-pipeline.js";

t.test("fenced although the lease holds: the partition is given back, so that a larger epoch takes it", async (t) => {
  const connection = await emptyLog(t);
  const slept: number[] = [];
  const clock: Clock = {
    nowMs: () => Date.now(),
    monotonicMs: () => performance.now(),
    sleep: (ms, signal) => {
      slept.push(ms);
      return delay(Math.min(ms, 20), undefined, signal === undefined ? {} : { signal }).catch(() => undefined);
    },
  };
  const setOf = (pipelines: readonly Pipeline[]) =>
    createTaskSet(pipelines, {
      ...{ ...connection, clock, partitions: 1, logger: pino({ level: "silent" }) },
      inference: { run: async () => new Float32Array() },
    });
  const [one, other] = [toyPipeline(), { ...toyPipeline(), name: "another" }];
  const isRunning = async (set: ReturnType<typeof setOf>): Promise<void> => {
    for (let i = 0; !set.status().every(({ state }) => state === "running") || set.status().length === 0; i++) {
      if (i > 500) throw new Error(`not running: ${JSON.stringify(set.status())}`);
      await delay(10);
    }
  };
  const ahead = setOf([one]);
  const before = ahead.run(0, 5_000); // its clock was ahead, and the registers with its lease were lost
  await isRunning(ahead);
  ahead.end(0, false);
  await before;

  const behind = setOf([one, other]);
  behind.pause([other.name]); // one that rests must not hold the partition
  slept.length = 0;
  await behind.run(0, 2_000);
  t.ok(slept.includes(10_000), "its lease had time to go first");
  t.same(behind.status(), [], "nothing is at work");
  behind.pause([]);
  const again = behind.run(0, 5_001);
  await isRunning(behind);
  t.same(
    behind
      .status()
      .map(({ pipeline }) => pipeline)
      .sort(),
    [one.name, other.name].sort(),
  );
  behind.end(0, false);
  await again;
});
