import t from "tap";
import { isFinal, pauseMs } from "../src/backoff.js";

t.test("the close code says whether to come back", async (t) => {
  for (const code of [1000, 1001, 1006, 1011, 1012, 3000, 3005, 3008, 3013, 3499])
    t.notOk(isFinal(code), `${code}: come back`);
  for (const code of [1002, 1003, 1007, 1008, 1009, 3500, 3507, 3999]) t.ok(isFinal(code), `${code}: do not`);
});

t.test("full jitter under a bound that doubles up to a limit", async (t) => {
  t.equal(pauseMs(1006, 0, 0), 0);
  t.equal(pauseMs(1006, 0, 0.5), 250);
  t.equal(pauseMs(1006, 3, 0.5), 2_000);
  t.equal(pauseMs(1006, 500, 0.5), 15_000);
  t.equal(pauseMs(1006, 2, 0.5, { firstMs: 10, lastMs: 20 }), 10);
});

t.test("a gateway that stops, or has too much to do, is given time", async (t) => {
  t.same([pauseMs(1001, 9, 0), pauseMs(1001, 0, 0.5)], [1_000, 3_000]);
  t.same([pauseMs(3013, 9, 0), pauseMs(3013, 0, 0.5)], [10_000, 35_000]);
});
