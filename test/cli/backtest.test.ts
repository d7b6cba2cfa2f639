import t from "tap";
import { readSettings } from "../../src/cli/backtest.js";

t.test("--set: one control message a kind, values as JSON or text", async (t) => {
  const settings = readSettings([
    "detector.threshold=2.5",
    "detector.quiet=true",
    "rules.name=a=b",
    "rules.list=[1,2]",
  ]);
  t.same(Object.fromEntries(settings), {
    detector: { threshold: 2.5, quiet: true },
    rules: { name: "a=b", list: [1, 2] },
  });
  t.same([...readSettings([])], []);
  for (const wrong of ["threshold=1", "detector.threshold", "a.b.c=1", ""])
    t.throws(() => readSettings([wrong]), { code: "MR_OPTION_INVALID" }, wrong);
});
