import { byId, el, icon, setText } from "../dom.js";
import { count, dateTime, number, percent } from "../format.js";
import type { WallState } from "../state.js";
import type { Plan, PlanSide, Trips } from "../wire.js";
import { asOf } from "./header.js";

/** The newest plan: what it costs before and after, and where the trucks go. */
export function createPlan(): (state: WallState, nowMs: number) => void {
  const body = byId("plan");
  let shown: Plan | undefined;
  const empty = el("p", "empty", "The first plan comes after the first measured hour of a mine");
  body.append(empty);
  return ({ plan, planAtMs }, nowMs) => {
    setText(byId("plan-meta"), asOf(plan === undefined ? "L, t" : `L, t · site ${plan.site}`, planAtMs));
    if (plan === undefined || plan === shown) return;
    shown = plan;
    body.replaceChildren(headline(plan), ...sides(plan), facts(plan, nowMs), tripTable(plan));
  };
}

function headline({ savedRatio01, after, status, savedLitres }: Plan): HTMLElement {
  if (status === "infeasible") {
    return el(
      "p",
      "headline is-bad",
      icon("critical"),
      el("strong", "", "No trip possible"),
      el("span", "", "no working shovel has a road to a dump"),
    );
  }
  const better = savedLitres >= 0;
  const text = `${percent(Math.abs(savedRatio01))} ${better ? "less" : "more"} diesel`;
  return el(
    "p",
    `headline ${better ? "is-good" : "is-bad"}`,
    el("strong", "", text),
    el("span", "", `for the same ${count(after.tonnes)} t`),
  );
}

function sides({ before, after }: Plan): readonly HTMLElement[] {
  const most = Math.max(before.litres, after.litres, 1);
  return [sideBar("Before", "before", before, most), sideBar("After", "after", after, most)];
}

function sideBar(name: string, kind: string, { litres, tonnes, truckHours }: PlanSide, most: number): HTMLElement {
  const fill = el("i", `fill ${kind}`);
  fill.style.width = `${((litres / most) * 100).toFixed(1)}%`;
  const perT = tonnes > 0 ? `${(litres / tonnes).toFixed(3)} L/t` : "–";
  const numbers = el(
    "span",
    "side-numbers",
    el("b", "", `${count(litres)} L`),
    el("span", "", perT),
    el("span", "", `${number(truckHours)} truck h`),
  );
  return el("div", "side-row", el("span", "side-name", name), el("div", "side-bar", fill), numbers);
}

function facts(plan: Plan, nowMs: number): HTMLElement {
  const proof = plan.status === "optimal" ? "proven best" : `within ${percent(plan.gap01)} of the best`;
  const target =
    plan.shortfallT > 0
      ? `${count(plan.shortfallT)} t short of ${count(plan.targetT)} t`
      : `target ${count(plan.targetT)} t met`;
  const reason = el("p", "plan-reason", plan.reason);
  const details = el("p", "plan-proof", `${dateTime(Date.parse(plan.ts), nowMs)} UTC · ${target} · ${proof}`);
  if (plan.shortfallT > 0) details.prepend(icon("warning"));
  return el("div", "plan-facts", reason, details);
}

interface RouteRow {
  readonly dump: string;
  readonly before: number;
  readonly after: number;
}

/** Trips of every road, by shovel: before a rate, after whole. A shovel without a trip on either side is out. */
function tripTable({ before, after }: Plan): HTMLElement {
  const shovels = byShovel(before.trips, after.trips);
  const most = Math.max(1, ...[...shovels.values()].flat().flatMap((row) => [row.before, row.after]));
  const head = el(
    "div",
    "trips-head",
    el("span", "", "Trips per shovel and dump"),
    el("span", "key before", "before"),
    el("span", "key after", "after"),
  );
  const groups = [...shovels].map(([shovel, rows]) => {
    const isOut = rows.every((row) => row.before === 0 && row.after === 0);
    const name = el("div", "shovel", shovel);
    if (isOut) return el("div", "shovel-group is-out", name, el("p", "out", icon("out"), "out: no trips"));
    const lines = rows.filter((row) => row.before > 0 || row.after > 0).map((row) => tripRow(row, most));
    return el("div", "shovel-group", name, el("div", "roads", ...lines));
  });
  return el("div", "trips", head, ...groups);
}

function tripRow({ dump, before, after }: RouteRow, most: number): HTMLElement {
  const bar = (kind: string, trips: number) => {
    const fill = el("i", `fill ${kind}`);
    fill.style.width = `${((trips / most) * 100).toFixed(1)}%`;
    return fill;
  };
  const change = after - before;
  const sign = Math.abs(change) < 0.05 ? "=" : change > 0 ? "▲" : "▼";
  const numbers = el(
    "span",
    "trip-numbers",
    before.toFixed(1),
    " → ",
    el("b", "", String(after)),
    " ",
    el("span", "sign", sign),
  );
  return el(
    "div",
    "road",
    el("span", "dump", dump),
    el("div", "pair", bar("before", before), bar("after", after)),
    numbers,
  );
}

function byShovel(before: readonly Trips[], after: readonly Trips[]): ReadonlyMap<string, readonly RouteRow[]> {
  const rows = new Map<string, Map<string, { before: number; after: number }>>();
  const add = (side: "before" | "after", { shovel, dump, trips }: Trips) => {
    const roads = rows.get(shovel) ?? new Map<string, { before: number; after: number }>();
    const row = roads.get(dump) ?? { before: 0, after: 0 };
    row[side] += trips;
    rows.set(shovel, roads.set(dump, row));
  };
  for (const one of before) add("before", one);
  for (const one of after) add("after", one);
  const names = [...rows.keys()].sort();
  return new Map(
    names.map((name) => {
      const roads = [...(rows.get(name) ?? [])].map(([dump, row]) => ({ dump, ...row }));
      return [name, roads.sort((a, b) => b.after - a.after || (a.dump < b.dump ? -1 : 1))];
    }),
  );
}
