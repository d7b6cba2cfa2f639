import t from "tap";
import { bugs } from "./bugs.js";
import { simulate } from "./simulate.js";

const SEEDS = 1_000;
/** Fewer than `npm run test:sim -- --bugs` allows each of them: they are all caught sooner. */
const BUG_SEEDS = 100;
/** Half a minute of processor time; more on a busy machine. */
const TIMEOUT_MS = 400_000;

Error.stackTraceLimit = 3; // the faults make many errors, and nobody reads most of them

t.test(`${SEEDS} seeds: outputs exactly once, byte for byte, whatever happens`, { timeout: TIMEOUT_MS }, async (t) => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const { problems } = await simulate(seed);
    if (problems.length === 0) continue;
    t.same(problems, [], `seed ${seed}; npm run test:sim -- --seed ${seed} shows its trace`);
    return;
  }
  t.pass("every invariant held");
});

t.test("a seed is lived through the same way twice", async (t) => {
  for (const seed of [3, 17, 42]) {
    const [first, second] = [await simulate(seed, { traced: true }), await simulate(seed, { traced: true })];
    t.ok(first.trace.length > 20, `seed ${seed}`);
    t.same(first, second);
  }
});

for (const bug of bugs) {
  t.test(`noticed: ${bug.name}`, { timeout: TIMEOUT_MS }, async (t) => {
    for (let seed = 1; seed <= BUG_SEEDS; seed++) {
      const { problems } = await simulate(seed, { bug });
      if (problems.length > 0) return t.pass(`seed ${seed}: ${problems[0]?.slice(0, 120)}`);
    }
    t.fail(`not within ${BUG_SEEDS} seeds`);
  });
}
