import t from "tap";
import { HOUR_MS } from "../../../src/core/index.js";
import { type RepositoryEvent, repositoryDay, repositoryWindow } from "../../../src/operators/index.js";
import { aggregated } from "../support/keyed-kit.js";

let n = 0;
const event = (kind: RepositoryEvent["kind"], actor: string, more: Partial<RepositoryEvent> = {}): RepositoryEvent => ({
  ...{
    kind,
    actor,
    isBot: actor.endsWith("[bot]"),
    eventId: `e${++n}`,
    timeMs: n,
    origin: { stream: "github", sequence: n, index: 0 },
  },
  ...more,
});

function day(...events: readonly RepositoryEvent[]) {
  return repositoryDay(aggregated(repositoryWindow, events));
}

t.test("counts what happened and who, as a number", async (t) => {
  const { values, merges } = day(
    event("opened", "ann"),
    event("closed", "ann"),
    event("commented", "bob"),
    event("other", "constructor"),
    event("pushed", "bot-1[bot]", { commits: 3 }),
    event("merged", "bob", { number: 2, timeMs: 10 * HOUR_MS, createdMs: 4 * HOUR_MS }),
    event("merged", "bob", { number: 1, timeMs: 9 * HOUR_MS, createdMs: 7 * HOUR_MS }),
  );
  t.match(values, {
    opened: 1,
    merged: 2,
    closedUnmerged: 1,
    comments: 1,
    pushes: 1,
    commits: 3,
    reviews: 0,
    actors: 3,
    cycleHoursP50: 4,
  });
  t.equal(values.botShare01, 1 / 7);
  t.same(
    merges.map(({ number }) => number),
    [1, 2],
    "by time",
  );
});

t.test("shares only of enough reviews and enough people", async (t) => {
  const reviews = (count: number) =>
    Array.from({ length: count }, (_, i) => event("reviewed", i === 0 ? "ann" : "bob"));
  t.equal(day(...reviews(4)).values.topReviewerShare01, undefined);
  t.equal(day(...reviews(5)).values.topReviewerShare01, 0.8);
  t.equal(day(...reviews(4), event("reviewed", "r[bot]")).values.topReviewerShare01, undefined, "bots do not count");
  const pushes = (people: number) =>
    Array.from({ length: people }, (_, i) => event("pushed", `p${i}`, { localHours: { inside: 1, outside: 3 } }));
  t.equal(day(...pushes(4)).values.afterHoursShare01, undefined);
  t.equal(day(...pushes(5)).values.afterHoursShare01, 0.75);
});

t.test("no merge, no median; no name in what comes out", async (t) => {
  const result = day(event("opened", "secret-login"), event("reviewed", "secret-login"));
  t.notOk("cycleHoursP50" in result.values);
  t.notMatch(JSON.stringify(result), /secret-login/);
});
