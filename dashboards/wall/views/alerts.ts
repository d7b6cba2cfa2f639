import { byId, el, icon, setChildren, setText } from "../dom.js";
import { count, dateTime, number, span } from "../format.js";
import { expectedText } from "../series.js";
import type { WallState } from "../state.js";
import type { Alert, ChartDomain } from "../wire.js";
import { gauge } from "./gauge.js";
import { asOf } from "./header.js";

const SHOWN = 20;

export const DOMAIN_NAMES: Readonly<Record<Alert["domain"], string>> = {
  github: "GitHub",
  mine: "Mine",
  sensor: "Sensor",
  system: "System",
};

interface Item {
  readonly element: HTMLElement;
  revision: number;
  readonly expand: (open: boolean) => void;
}

/** The last 20 alerts; a click opens one: its window, its numbers and its evidence. `onChoose`: show it in its chart. */
export function createAlerts(
  onChoose: (domain: ChartDomain, fingerprint: string) => void,
): (state: WallState, nowMs: number) => void {
  const list = byId("alerts");
  const items = new Map<string, Item>();
  const open = new Set<string>();
  let first = true;

  const build = (alert: Alert, nowMs: number): Item => {
    const { fingerprint } = alert;
    const more = el("div", "alert-more");
    more.id = `alert-${fingerprint}`;
    const button = alertButton(alert, nowMs);
    button.setAttribute("aria-controls", more.id);
    const element = el("li", `alert ${alertClass(alert)}`, button, more);
    const expand = (isOpen: boolean) => {
      button.setAttribute("aria-expanded", String(isOpen));
      more.hidden = !isOpen;
      more.replaceChildren(...(isOpen ? details(alert, nowMs, onChoose) : []));
    };
    button.addEventListener("click", () => {
      const isOpen = !open.has(fingerprint);
      if (isOpen) open.add(fingerprint);
      else open.delete(fingerprint);
      expand(isOpen);
      if (isOpen && alert.domain !== "system") onChoose(alert.domain, fingerprint);
    });
    expand(open.has(fingerprint));
    return { element, revision: alert.revision, expand };
  };

  return (state, nowMs) => {
    const shown = state.alerts.slice(0, SHOWN);
    const wanted = new Set(shown.map(({ fingerprint }) => fingerprint));
    for (const fingerprint of [...items.keys()]) if (!wanted.has(fingerprint)) items.delete(fingerprint);
    for (const alert of shown) {
      const known = items.get(alert.fingerprint);
      if (known !== undefined && known.revision === alert.revision) continue;
      const item = build(alert, nowMs);
      if (!first) item.element.classList.add("is-new");
      items.set(alert.fingerprint, item);
    }
    first = first && shown.length === 0;
    const focused = document.activeElement?.closest("li.alert button");
    setChildren(
      list,
      shown.map(({ fingerprint }) => (items.get(fingerprint) as Item).element),
    );
    if (focused instanceof HTMLElement && focused.isConnected) focused.focus({ preventScroll: true });

    const charted = new Set(Object.values(state.charts).map(({ fingerprint }) => fingerprint));
    for (const [fingerprint, { element }] of items) element.classList.toggle("is-charted", charted.has(fingerprint));
    byId("alerts-empty").hidden = shown.length > 0;
    setText(byId("alerts-empty"), state.alertsAtMs === 0 ? "Waiting for data" : "No alert yet");
    const { open: firing, total } = state.alertTotals;
    const figures = total === 0 ? "" : `${count(firing)} open of ${count(total)}`;
    setText(byId("alerts-meta"), asOf(figures, state.alertsAtMs));
  };
}

function alertClass({ severity, state }: Alert): string {
  return state !== "firing" ? "is-resolved" : `is-${severity}`;
}

function alertButton(alert: Alert, nowMs: number): HTMLButtonElement {
  const { state, severity, domain, title, ts } = alert;
  const status = state !== "firing" ? "resolved" : severity;
  const time = el("time", "alert-time", dateTime(Date.parse(ts), nowMs));
  time.dateTime = ts;
  time.title = `${ts} (event time, UTC)`;
  const facts = el(
    "span",
    "alert-facts",
    el("span", "tag", icon(domain), DOMAIN_NAMES[domain]),
    el("span", "status", status),
  );
  const scale = gauge(alert.value, alert.expected);
  if (scale !== undefined) facts.append(scale);
  facts.append(el("span", "numbers", scoreText(alert)), time);
  const button = el("button", "alert-line", icon(status), el("span", "alert-title", title), facts, icon("chevron"));
  button.type = "button";
  return button;
}

function scoreText({ detector, score }: Alert): string {
  return score === null ? "" : `${detector === null ? "score" : detector.toUpperCase()} ${number(score)}`;
}

/** "42, usually 3 – 12": in the title's units. */
function valueText({ value, expected }: Alert): string {
  if (value === null) return "";
  const usual = expected === null ? undefined : expectedText(expected.low, expected.high, "");
  return usual === undefined ? number(value) : `${number(value)}, ${usual}`;
}

function details(
  alert: Alert,
  nowMs: number,
  onChoose: (domain: ChartDomain, fingerprint: string) => void,
): readonly Node[] {
  const { window, domain } = alert;
  const labels = Object.entries(alert.labels).map(([name, value]) => `${name} ${value}`);
  const facts: readonly (readonly [string, string])[] = [
    ["Key", alert.key],
    ["Value", valueText(alert)],
    ["Window, UTC", span(Date.parse(window.start), Date.parse(window.end), nowMs)],
    ["Rule", `${alert.rule} of ${alert.pipeline}`],
    ["State", `${alert.state}, ${alert.severity}, revision ${alert.revision}`],
    ["Labels", labels.join(", ")],
  ];
  const shown = facts.filter(([, value]) => value !== "");
  const table = el(
    "dl",
    "facts",
    ...shown.map(([name, value]) => el("div", "", el("dt", "", name), el("dd", "", value))),
  );
  const evidence = el(
    "ul",
    "evidence",
    ...alert.evidence.map((one) =>
      el("li", "", `${one.stream} #${one.sequence}${one.index > 0 ? `.${one.index}` : ""}`),
    ),
  );
  const where = el(
    "p",
    "evidence-title",
    alert.evidence.length === 0 ? "No single message stands for it" : "Evidence: stream #sequence.index in the log",
  );
  if (domain === "system") return [table, where, evidence];
  const button = el("button", "plain-button", "Show in chart");
  button.type = "button";
  button.addEventListener("click", () => onChoose(domain, alert.fingerprint));
  return [table, where, evidence, button];
}
