import type { Stats } from "../../core/index.js";

const EVERY_MS = 1_000;
/** Without a terminal a line a second would drown the log. */
const EVERY_MS_PLAIN = 15_000;

/** One line that says how far things are: rewritten in place on a terminal, printed now and then elsewhere. */
export function showProgress(stats: () => Stats, out: NodeJS.WriteStream): () => void {
  let before = "";
  const show = (): void => {
    const line = progressLine(stats());
    if (line === before) return;
    before = line;
    out.write(out.isTTY ? `\r\x1b[2K${line.slice(0, (out.columns ?? 80) - 1)}` : `${line}\n`);
  };
  const timer = setInterval(show, out.isTTY ? EVERY_MS : EVERY_MS_PLAIN);
  return () => {
    clearInterval(timer);
    if (out.isTTY) out.write("\n");
  };
}

export function progressLine({ replay, github, telemetry, features, alerts, plans }: Stats): string {
  const percent = replay.total === 0 ? 0 : Math.floor((100 * replay.sent) / replay.total);
  const sample = replay.total === 0 ? "live" : replay.done ? "sample played" : `sample ${percent} %`;
  const count = (n: number): string => n.toLocaleString("en");
  return [
    sample,
    `github ${count(github.received)}`,
    `telemetry ${count(telemetry.received)}`,
    `features ${count(features.stored)}`,
    `alerts ${count(alerts.stored)}`,
    `plans ${count(plans.stored)}`,
    `dead letters ${count(github.deadLettered + telemetry.deadLettered)}`,
  ].join(" · ");
}
