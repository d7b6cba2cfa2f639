import t from "tap";
import { labelsOf, matchesAll, parseMatcher } from "../../../src/operators/alerts/matchers.js";
import { isWithin, parseTimeSpan } from "../../../src/operators/alerts/time-spans.js";
import { alertOf } from "./support.js";

t.test("conditions on labels", async (t) => {
  const labels = labelsOf(alertOf({ key: "north/oven", labels: { equipment: "oven", site: "n-1" } }));
  t.match(labels, { site: "n-1", rule: "hot", severity: "warning", priority: "medium", equipment: "oven" });
  const fits = (text: string): boolean => matchesAll([parseMatcher(text)], labels);
  for (const text of [
    "rule = hot",
    'rule="hot"',
    "rule != cold",
    "rule =~ h.t",
    "rule !~ ho",
    "absent = ",
    'key =~ "north/.*"',
  ])
    t.ok(fits(text), text);
  for (const text of ["rule = ho", "rule =~ ho", "rule != hot", "absent != ", 'site = "north"'])
    t.notOk(fits(text), text);
  for (const text of ["rule", "= hot", "rule ~ hot", "rule =~ ("]) t.throws(() => parseMatcher(text), text);
});

t.test("parts of the week in a zone, over midnight and the change of the clocks", async (t) => {
  const at = (span: string, time: string): boolean => isWithin(parseTimeSpan(span), Date.parse(time));
  const nights = "mon-fri 22:00-06:00 Europe/Madrid";
  t.ok(at(nights, "2026-11-16T22:30:00Z"), "Monday 23:30 in Madrid");
  t.ok(at(nights, "2026-11-21T04:00:00Z"), "Saturday 05:00 belongs to Friday's night");
  t.notOk(at(nights, "2026-11-21T22:30:00Z"), "Saturday night");
  t.notOk(at(nights, "2026-11-16T04:00:00Z"), "Monday 05:00 would be Sunday's");
  t.ok(at(nights, "2026-07-13T20:30:00Z"), "summer: 22:30 in Madrid");
  t.notOk(at(nights, "2026-11-16T20:30:00Z"), "winter: 21:30");
  t.ok(at("sat,sun", "2026-11-22T12:00:00Z"));
  t.notOk(at("sat,sun", "2026-11-23T00:00:00Z"));
  t.ok(at("08:00-16:30", "2026-11-18T16:29:59Z"), "UTC where no zone is named");
  t.notOk(at("08:00-16:30", "2026-11-18T16:30:00Z"));
  for (const text of [
    "",
    "Europe/Madrid",
    "mon 25:00-26:00",
    "mo 8:00-9:00",
    "mon 8-9",
    "mon 08:00-09:00 Europe/Nowhere",
  ])
    t.throws(() => parseTimeSpan(text), text);
});
