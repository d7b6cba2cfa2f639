import { age, count, percent } from "./format.js";
import type { Connection } from "./state.js";
import type { Stats } from "./wire.js";

export type Tone = "good" | "busy" | "bad";

export interface Sentence {
  readonly tone: Tone;
  /** What is going on, in a few words. */
  readonly head: string;
  /** What that means. */
  readonly rest: string;
}

export interface SentenceInput {
  readonly connection: Connection;
  readonly stats: Stats | undefined;
  /** When the newest stats arrived, ms. */
  readonly statsAtMs: number;
  readonly nowMs: number;
  readonly alerts: { readonly open: number; readonly total: number };
  /** Share of diesel the newest plan saves; undefined without a plan. */
  readonly savedRatio01: number | undefined;
}

/** The state of everything in one sentence. Pure. */
export function sentence(input: SentenceInput): Sentence {
  const { connection, stats, nowMs, statsAtMs } = input;
  if (connection.kind === "no-key") {
    return { tone: "bad", head: "No key.", rest: "Open the address that npm start printed: it ends in ?key=…" };
  }
  if (connection.kind === "refused") {
    return { tone: "bad", head: "The key is not accepted.", rest: "Open the address that npm start printed last." };
  }
  if (stats === undefined) {
    return connection.kind === "waiting"
      ? {
          tone: "bad",
          head: "Nobody answers.",
          rest: `Is npm start still running? ${retry(connection.retryAtMs, nowMs)}`,
        }
      : { tone: "busy", head: "Connecting …", rest: "" };
  }
  if (connection.kind !== "open") {
    const when = connection.kind === "waiting" ? retry(connection.retryAtMs, nowMs) : "Trying again now.";
    return { tone: "bad", head: "Connection lost.", rest: `${seen(nowMs - statsAtMs)} ${when}` };
  }
  return { tone: stats.replay.total > 0 && !stats.replay.done ? "busy" : "good", ...running(input, stats) };
}

function running({ alerts, savedRatio01 }: SentenceInput, stats: Stats): { head: string; rest: string } {
  const { replay } = stats;
  const findings = [alertText(alerts), planText(savedRatio01)].filter((text) => text !== "").join(", ");
  const rest = `${findings[0]?.toUpperCase() ?? ""}${findings.slice(1)}.`;
  if (replay.total > 0 && !replay.done) return { head: `Playing the sample: ${percent(progress01(stats))}.`, rest };
  const events = stats.github.received + stats.telemetry.received;
  if (replay.total > 0) return { head: "The sample has been played.", rest };
  return { head: "Live.", rest: events === 0 ? "No event so far." : `${count(events)} events so far. ${rest}` };
}

/** 0 to 1; never 1 before the replay says that it is done. */
export function progress01({ replay }: Stats): number {
  if (replay.total === 0) return 0;
  return replay.done ? 1 : Math.min(0.99, replay.sent / replay.total);
}

function alertText({ open, total }: SentenceInput["alerts"]): string {
  if (total === 0) return "nothing unusual yet";
  const all = `${count(total)} ${total === 1 ? "alert" : "alerts"}`;
  return open === 0 ? `${all}, all resolved` : `${all}, ${count(open)} open`;
}

function planText(savedRatio01: number | undefined): string {
  if (savedRatio01 === undefined) return "";
  if (savedRatio01 < 0.0005) return "the plan in force is as good as it gets";
  return `the plan saves ${percent(savedRatio01)} diesel`;
}

function seen(ageMs: number): string {
  return ageMs < 1_500 ? "What you see is no longer live." : `What you see is ${age(ageMs)} old.`;
}

function retry(atMs: number, nowMs: number): string {
  const inS = Math.ceil((atMs - nowMs) / 1_000);
  return inS > 0 ? `Trying again in ${inS} s.` : "Trying again now.";
}
