import { byId, icon, setClass, setText } from "../dom.js";
import { age, clock, date } from "../format.js";
import { progress01, sentence } from "../sentence.js";
import type { Connection, WallState } from "../state.js";

const CONNECTIONS: Readonly<Record<Connection["kind"], { readonly icon: string; readonly text: string }>> = {
  "no-key": { icon: "waiting", text: "no key" },
  refused: { icon: "waiting", text: "key refused" },
  connecting: { icon: "connecting", text: "connecting" },
  open: { icon: "open", text: "connected" },
  waiting: { icon: "waiting", text: "disconnected" },
};

/** The sentence, the clocks and the progress of the replay. */
export function createHeader(): (state: WallState, nowMs: number) => void {
  const line = byId("sentence");
  const head = byId("sentence-head");
  const rest = byId("sentence-rest");
  const connection = byId("connection");
  const connectionText = document.createElement("span");
  let connectionKind: string | undefined;

  return (state, nowMs) => {
    const { stats } = state;
    const said = sentence({
      connection: state.connection,
      stats,
      statsAtMs: state.statsAtMs,
      nowMs,
      alerts: state.alertTotals,
      savedRatio01: state.plan?.savedRatio01,
    });
    setClass(line, `sentence tone-${said.tone}`);
    setText(head, said.head);
    setText(rest, said.rest);

    const { kind } = state.connection;
    document.body.classList.toggle("is-stale", stats !== undefined && kind !== "open");
    if (kind !== connectionKind) {
      connectionKind = kind;
      setClass(connection, `connection is-${kind}`);
      setText(connectionText, CONNECTIONS[kind].text);
      connection.replaceChildren(icon(CONNECTIONS[kind].icon), connectionText);
    }
    const sample = stats !== undefined && stats.replay.total > 0;
    setText(
      byId("clock-label"),
      !sample ? "Now, UTC" : stats.replay.done ? "Sample ended at, UTC" : "Sample time, UTC",
    );
    const clockMs = sample ? (stats.replay.clock === null ? undefined : Date.parse(stats.replay.clock)) : nowMs;
    setText(byId("clock"), clockMs === undefined ? "–" : `${date(clockMs, nowMs)} ${clock(clockMs)}`);
    setText(byId("data-age"), state.eventAtMs === 0 ? "–" : ago(nowMs - state.eventAtMs));

    const progress = byId("progress");
    progress.hidden = !sample || stats.replay.done;
    if (sample) {
      const percent = Math.round(progress01(stats) * 100);
      progress.setAttribute("aria-valuenow", String(percent));
      byId("progress-bar").style.width = `${(progress01(stats) * 100).toFixed(2)}%`;
    }
  };
}

function ago(ms: number): string {
  const text = age(ms);
  return text === "now" ? "now" : `${text} ago`;
}

/** "min · as of 14:03:22 UTC" for the head of a panel: its units, and how old it is. */
export function asOf(units: string, atMs: number): string {
  const read = atMs === 0 ? [] : [`as of ${clock(atMs)} UTC`];
  return [...(units === "" ? [] : [units]), ...read].join(" · ");
}
