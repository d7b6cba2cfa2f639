import t from "tap";
import { HOUR_MS, MINUTE_MS } from "../../../src/core/index.js";
import { shovelWatch } from "../../../src/operators/index.js";

const OPTIONS = { leastSilenceMs: 40 * MINUTE_MS, gaps: 3, leastLoads: 5, recentMs: 3 * HOUR_MS, maxSites: 2 };
const origin = (sequence: number) => ({ stream: "features", sequence, index: 0 });

/** Loads each minute by `a` and `b` in turn from `from` to `to`; names what falls silent, and when. */
function work(watch: ReturnType<typeof shovelWatch>, shovels: readonly string[], from: number, to: number): string[] {
  const said: string[] = [];
  for (let minute = from; minute < to; minute++) {
    const shovel = shovels[minute % shovels.length] as string;
    const { resumed, silent } = watch.loaded("m", shovel, minute * MINUTE_MS, origin(minute));
    if (resumed) said.push(`${minute} ${shovel} resumed`);
    for (const one of silent) said.push(`${minute} ${one.shovel} silent ${one.silentMs / MINUTE_MS}`);
  }
  return said;
}

t.test("a shovel that stops while others work is silent once, until it loads again", async (t) => {
  const watch = shovelWatch(OPTIONS);
  t.same(work(watch, ["a", "b", "c"], 0, 60), []);
  t.same(work(watch, ["a", "b"], 60, 200), ["100 c silent 41"], "59 was its last load; more than 40 min of work since");
  t.equal(watch.isSilent("m", "c"), true);
  t.equal(watch.isSilent("m", "a"), false);
  t.same(work(watch, ["c"], 200, 201), ["200 c resumed"]);
  t.equal(watch.isSilent("m", "c"), false);
});

t.test("silence of the whole site is no shovel's silence", async (t) => {
  const watch = shovelWatch(OPTIONS);
  work(watch, ["a", "b"], 0, 60);
  t.same(work(watch, ["a", "b"], 600, 660), [], "nine hours of nothing");
  t.same(work(shovelWatch(OPTIONS), ["a"], 0, 300), [], "a lone shovel");
});

t.test("a slow shovel has a longer limit, a rare one none", async (t) => {
  const slow = shovelWatch(OPTIONS);
  work(slow, ["x", ...Array(29).fill("a")], 0, 300); // every 30 min: limit 90
  const said = work(slow, ["a"], 300, 420);
  t.equal(said.length, 1);
  t.match(said[0], /^36[12] x silent 9[012]$/);
  const rare = shovelWatch(OPTIONS);
  work(rare, ["x", ...Array(99).fill("a")], 0, 300);
  t.same(work(rare, ["a"], 300, 900), [], "three loads are not enough to expect a fourth");
});

t.test("evidence are its last loads; any name is a name; a restart changes nothing", async (t) => {
  const watch = shovelWatch(OPTIONS);
  work(watch, ["__proto__", "constructor"], 0, 60);
  const loaded = shovelWatch(OPTIONS);
  const saved = JSON.parse(JSON.stringify(watch.save()));
  loaded.load(saved);
  t.same(JSON.parse(JSON.stringify(loaded.save())), saved);
  t.same(work(loaded, ["__proto__"], 60, 101), ["100 constructor silent 41"]);
  let silence: ReturnType<typeof watch.loaded>["silent"][number] | undefined;
  for (let minute = 60; silence === undefined; minute++) {
    silence = watch.loaded("m", "__proto__", minute * MINUTE_MS, origin(minute)).silent[0];
  }
  t.match(silence, { sinceMs: 59 * MINUTE_MS, medianGapMs: 2 * MINUTE_MS, limitMs: 40 * MINUTE_MS });
  t.same(
    silence.evidence.map(({ sequence }) => sequence),
    [45, 47, 49, 51, 53, 55, 57, 59],
  );
});
