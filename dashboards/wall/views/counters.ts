import { byId, el, icon, setText } from "../dom.js";
import { count } from "../format.js";
import type { WallState } from "../state.js";
import type { DomainStats, Stats } from "../wire.js";
import { asOf } from "./header.js";

type Update = (stats: Stats, atMs: number) => void;

/** What came in and where it went, per domain, and what came out. */
export function createCounters(): (state: WallState) => void {
  const cards = [
    domainCard("github", "GitHub", "deliveries"),
    domainCard("telemetry", "Telemetry", "messages"),
    resultCard(),
  ];
  byId("counters").append(...cards.map(({ element }) => element));
  return ({ stats, statsAtMs }) => {
    if (stats !== undefined) for (const { update } of cards) update(stats, statsAtMs);
  };
}

/** received = stored + duplicates + dead letters + in flight, as figures and as one bar. */
function domainCard(
  domain: "github" | "telemetry",
  title: string,
  what: string,
): { element: HTMLElement; update: Update } {
  const figures = {
    received: figure("Received"),
    stored: figure("Stored", "stored"),
    duplicates: figure("Duplicates", "duplicates"),
    deadLettered: figure("Dead letters", "dead"),
  };
  const parts = {
    stored: el("i", "part stored"),
    duplicates: el("i", "part duplicates"),
    deadLettered: el("i", "part dead"),
  };
  for (const part of Object.values(parts)) part.hidden = true;
  const bar = el("div", "bar", ...Object.values(parts));
  const verdict = el("p", "verdict");
  const { element, meta } = card(
    domain,
    title,
    Object.values(figures).map((one) => one.element),
  );
  element.append(bar, verdict);
  const update = (stats: Stats, atMs: number) => {
    const own: DomainStats = stats[domain];
    for (const [name, one] of Object.entries(figures)) setText(one.value, count(own[name as keyof DomainStats]));
    const inFlight = own.received - own.stored - own.duplicates - own.deadLettered;
    for (const [name, part] of Object.entries(parts)) {
      part.style.flexGrow = String(own[name as keyof DomainStats]);
      part.hidden = own[name as keyof DomainStats] === 0;
    }
    bar.style.setProperty("--rest", String(Math.max(0, inFlight)));
    setText(verdict, verdictText(own.received, inFlight));
    setText(meta, asOf(what, atMs));
  };
  return { element, update };
}

function verdictText(received: number, inFlight: number): string {
  if (received === 0) return "Nothing received yet";
  if (inFlight > 0) return `${count(inFlight)} on the way through`;
  return inFlight === 0
    ? "✓ Received = stored + duplicates + dead letters"
    : "Stored rows are ahead of the count of deliveries";
}

function resultCard(): { element: HTMLElement; update: Update } {
  const names = ["features", "anomalies", "alerts", "plans"] as const;
  const figures = names.map((name) => figure(`${name[0]?.toUpperCase()}${name.slice(1)}`));
  const late = figure("Late");
  const { element, meta } = card(
    "result",
    "Results",
    [...figures, late].map((one) => one.element),
  );
  const update = (stats: Stats, atMs: number) => {
    names.forEach((name, i) => {
      const one = figures[i];
      if (one !== undefined) setText(one.value, count(stats[name].stored));
    });
    setText(late.value, count(stats.late));
    setText(meta, asOf("rows stored", atMs));
  };
  element.append(el("p", "verdict", "Stored in ClickHouse; late events came after their window had closed"));
  return { element, update };
}

function card(
  name: string,
  title: string,
  figures: readonly HTMLElement[],
): { element: HTMLElement; meta: HTMLElement } {
  const meta = el("p", "meta");
  const head = el("div", "panel-head", el("h2", "", icon(name), title), meta);
  return { element: el("section", `panel card card-${name}`, head, el("dl", "figures", ...figures)), meta };
}

function figure(name: string, mark = ""): { element: HTMLElement; value: HTMLElement } {
  const value = el("dd", "figure", "–");
  const term = el("dt", "", ...(mark === "" ? [] : [el("i", `swatch ${mark}`)]), name);
  return { element: el("div", "", term, value), value };
}
