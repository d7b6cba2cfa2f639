import t from "tap";
import { HOUR_MS, MINUTE_MS } from "../../../src/core/index.js";
import { type ShovelNews, shovelWatch } from "../../../src/operators/index.js";
import { processKit } from "../support/keyed-kit.js";

const OPTIONS = { leastSilenceMs: 40 * MINUTE_MS, gaps: 3, leastLoads: 5, recentMs: 3 * HOUR_MS, maxSites: 2 };
const origin = (sequence: number) => ({ stream: "features", sequence, index: 0 });

const started = () => processKit(shovelWatch(OPTIONS), false);

/** What each load reveals, with the minute. */
function work(watch: ReturnType<typeof started>, shovels: readonly string[], from: number, to: number) {
  const said: { readonly minute: number; readonly news: ShovelNews }[] = [];
  for (let minute = from; minute < to; minute++) {
    const shovel = shovels[minute % shovels.length] as string;
    const before = watch.rows().length;
    if (minute % 50 === 0) watch.cut();
    watch.event(minute * MINUTE_MS, { key: "m", value: { shovel, origin: origin(minute) } });
    for (const news of watch.rows<ShovelNews>().slice(before)) said.push({ minute, news });
  }
  return said;
}

/** In words: what resumed, what fell silent and for how many minutes. */
function words(said: ReturnType<typeof work>): string[] {
  return said.flatMap(({ minute, news: { resumed, silent } }) => [
    ...(resumed === undefined ? [] : [`${minute} ${resumed} resumed`]),
    ...silent.map((one) => `${minute} ${one.shovel} silent ${one.silentMs / MINUTE_MS}`),
  ]);
}

t.test("a shovel that stops while others work is silent once, until it loads again", async (t) => {
  const watch = started();
  t.same(work(watch, ["a", "b", "c"], 0, 60), []);
  const said = words(work(watch, ["a", "b"], 60, 200));
  t.same(said, ["100 c silent 41"], "59 was its last load; more than 40 min of work since");
  t.same(words(work(watch, ["c"], 200, 201)), ["200 c resumed"]);
  t.same(words(work(watch, ["c"], 201, 202)), []);
});

t.test("silence of the whole site is no shovel's silence", async (t) => {
  const watch = started();
  work(watch, ["a", "b"], 0, 60);
  t.same(work(watch, ["a", "b"], 600, 660), [], "nine hours of nothing");
  t.same(work(started(), ["a"], 0, 300), [], "a lone shovel");
});

t.test("a slow shovel has a longer limit, a rare one none", async (t) => {
  const slow = started();
  work(slow, ["x", ...Array(29).fill("a")], 0, 300); // every 30 min: limit 90
  const said = words(work(slow, ["a"], 300, 420));
  t.equal(said.length, 1);
  t.match(said[0], /^36[12] x silent 9[012]$/);
  const rare = started();
  work(rare, ["x", ...Array(99).fill("a")], 0, 300);
  t.same(work(rare, ["a"], 300, 900), [], "three loads are not enough to expect a fourth");
});

t.test("evidence are its last loads; any name is a name", async (t) => {
  const watch = started();
  work(watch, ["__proto__", "constructor"], 0, 60);
  const said = work(watch, ["__proto__"], 60, 102);
  t.same(words(said), ["100 constructor silent 41"]);
  const silence = said[0]?.news.silent[0];
  t.match(silence, { sinceMs: 59 * MINUTE_MS, medianGapMs: 2 * MINUTE_MS, limitMs: 40 * MINUTE_MS });
  t.same(
    silence?.evidence.map(({ sequence }) => sequence),
    [45, 47, 49, 51, 53, 55, 57, 59],
  );
});
