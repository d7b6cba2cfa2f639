import { byId, el, icon, setChildren, setText } from "../dom.js";
import { count } from "../format.js";
import type { DeadLetter, WallState } from "../state.js";
import { asOf } from "./header.js";

const SHOWN = 8;

/** Deliveries that were set aside, newest first: why, and how they begin. */
export function createDeadLetters(): (state: WallState) => void {
  const list = byId("dead");
  let shown: readonly DeadLetter[] | undefined;
  return ({ deadLetters, deadLettersAtMs, stats }) => {
    const total = stats === undefined ? 0 : stats.github.deadLettered + stats.telemetry.deadLettered;
    setText(
      byId("dead-meta"),
      asOf(
        total === 0 ? "deliveries" : `last ${Math.min(SHOWN, deadLetters.length)} of ${count(total)}`,
        deadLettersAtMs,
      ),
    );
    byId("dead-empty").hidden = deadLetters.length > 0;
    setText(byId("dead-empty"), deadLettersAtMs === 0 ? "Waiting for data" : "None: every delivery so far was valid");
    if (deadLetters === shown) return;
    shown = deadLetters;
    setChildren(list, deadLetters.slice(0, SHOWN).map(item));
  };
}

function item({ domain, reason, door, bytesTotal, preview }: DeadLetter): HTMLElement {
  const facts = el("span", "dead-facts", `${door}, ${count(bytesTotal)} bytes`);
  const bytes = el("code", "", preview === "" ? "no bytes" : preview);
  bytes.title = preview;
  return el(
    "li",
    "",
    icon(domain === "github" ? "github" : "telemetry"),
    el("span", "dead-reason", reason),
    facts,
    bytes,
  );
}
