import t from "tap";
import { admit, type Group, type Member, newGroup } from "../../../src/operators/alerts/groups.js";
import { entriesOf } from "../../../src/operators/alerts/trie.js";
import { alertOf, START_MS } from "./support.js";

t.test("of an alarm in two groups that become one the later alert counts, in whatever order they come", async (t) => {
  const about = { id: "d", receiver: "ops", path: "", level: 0, digest: "open", labels: {} } as const;
  const member = (atMs: number, revision: number, firing: boolean, news: boolean): Member => ({
    ...{ alert: alertOf({ atMs: START_MS + atMs, revision, title: `${atMs}/${revision}` }), firing, news },
  });
  const of = (...members: Member[]): Group =>
    members.reduce((group, each) => admit(group, "f1", each), newGroup(about, 0));
  for (const [a, b, title] of [
    [member(1, 1, true, false), member(2, 1, true, true), "2/1"],
    [member(2, 1, false, true), member(1, 9, true, false), "2/1"],
    [member(1, 2, true, false), member(1, 1, false, false), "1/2"],
    [member(1, 1, false, false), member(1, 1, false, false), "1/1"],
  ] as const) {
    t.same(of(a, b), of(b, a));
    const [[, both] = []] = entriesOf(of(a, b).members);
    t.match(both, { alert: { title }, firing: a.firing || b.firing, news: a.news || b.news });
    t.equal(of(a, b).firing, a.firing || b.firing ? 1 : 0);
  }
});
