import type { Alert, Notice, Severity } from "../../core/index.js";

/** What people read, in their language. Alerts' own titles come from the pipelines and stay as they are. */
export type Language = "en" | "es";

interface Words {
  readonly severities: Readonly<Record<Severity, string>>;
  readonly resolved: string;
  readonly retracted: string;
  readonly omitted: (count: number) => string;
  readonly summary: Readonly<Record<Notice["status"], (count: number) => string>>;
  readonly open: string;
  readonly acknowledge: string;
  readonly since: (time: string) => string;
}

export const WORDS: Readonly<Record<Language, Words>> = {
  en: {
    severities: { info: "info", warning: "warning", critical: "critical" },
    resolved: "over",
    retracted: "taken back",
    omitted: (count) => `and ${count} more`,
    summary: {
      firing: (count) => (count === 1 ? "1 alert" : `${count} alerts`),
      resolved: (count) => (count === 1 ? "over" : `${count} alerts are over`),
      digest: (count) => `${count} alerts at once`,
    },
    open: "Open the wall",
    acknowledge: "Acknowledge",
    since: (time) => `since ${time}`,
  },
  es: {
    severities: { info: "información", warning: "advertencia", critical: "crítica" },
    resolved: "terminada",
    retracted: "retirada",
    omitted: (count) => `y ${count} más`,
    summary: {
      firing: (count) => (count === 1 ? "1 alerta" : `${count} alertas`),
      resolved: (count) => (count === 1 ? "terminada" : `terminaron ${count} alertas`),
      digest: (count) => `${count} alertas a la vez`,
    },
    open: "Abrir el panel",
    acknowledge: "Reconocer",
    since: (time) => `desde ${time}`,
  },
};

/** Severity is never said by colour alone: each has its own shape. */
export const SHAPES: Readonly<Record<Severity, string>> = { info: "○", warning: "▲", critical: "◆" };

/** One line that says what it is about; also what a phone shows. */
export function headline({ alerts, omitted, status, note }: Notice, language: Language): string {
  const words = WORDS[language];
  const count = alerts.length + omitted;
  const [gravest] = alerts;
  if (gravest === undefined) return words.summary[status](count);
  const about = `${gravest.key}: ${gravest.title}`;
  const more = note === "" ? "" : ` (${note})`;
  if (status === "digest" || (count > 1 && status === "firing")) {
    return `${mark(gravest, language)}, ${words.summary[status](count)}, ${about}${more}`;
  }
  if (status === "resolved") return `✓ ${words.summary.resolved(count)}: ${about}${more}`;
  return `${mark(gravest, language)}, ${about}${more}`;
}

/** Shape and word of an alert's severity, or that it is over. */
export function mark({ severity, state }: Alert, language: Language): string {
  const words = WORDS[language];
  if (state === "resolved") return `✓ ${words.resolved}`;
  if (state !== "firing") return `✕ ${words.retracted}`;
  return `${SHAPES[severity]} ${words.severities[severity]}`;
}

/** `2026-11-20 06:00 UTC`. */
export function moment(rfc3339: string): string {
  return `${rfc3339.slice(0, 10)} ${rfc3339.slice(11, 16)} UTC`;
}

/** At most `length` characters, whole code points, with an ellipsis where it was cut. */
export function shortened(text: string, length: number): string {
  if (text.length <= length) return text;
  const cut = text.slice(0, length - 1);
  return `${/[\uD800-\uDBFF]$/.test(cut) ? cut.slice(0, -1) : cut}…`;
}
