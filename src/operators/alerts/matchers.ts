import type { Alert } from "../../core/index.js";
import { priorityOf } from "./priority.js";

/** One condition on one label: `severity = critical`, `site != north`, `rule =~ "sensor-.*"`, `key !~ test`. */
export interface Matcher {
  readonly label: string;
  readonly is: "=" | "!=" | "=~" | "!~";
  /** Text, or the source of a regular expression that must fit all of the label. */
  readonly value: string;
}

export type Labels = Readonly<Record<string, string>>;

const TEXT = /^\s*([A-Za-z_][\w.-]*)\s*(=~|!~|!=|=)\s*(?:"((?:[^"\\]|\\.)*)"|(.*?))\s*$/;

/** Throws what is wrong with the text, in words. */
export function parseMatcher(text: string): Matcher {
  const found = TEXT.exec(text);
  if (found === null) throw new TypeError(`"${text}" is no condition: write label = value, !=, =~ or !~`);
  const [, label = "", is = "=", quoted, plain = ""] = found;
  const value = quoted === undefined ? plain : quoted.replace(/\\(.)/g, "$1");
  if (is === "=~" || is === "!~") fits(value); // throws what is wrong with the expression
  return { label, is: is as Matcher["is"], value };
}

/** A label that is not there is an empty text. */
export function matchesAll(matchers: readonly Matcher[], labels: Labels): boolean {
  return matchers.every(({ label, is, value }) => {
    const has = labels[label] ?? "";
    if (is === "=") return has === value;
    if (is === "!=") return has !== value;
    return fits(value).test(has) === (is === "=~");
  });
}

function fits(source: string): RegExp {
  return new RegExp(`^(?:${source})$`);
}

/** What an alert can be matched and grouped by: its labels and, over these, what every alert has. `site` is the key's first part. */
export function labelsOf({ labels, rule, pipeline, domain, key, severity, fingerprint }: Alert): Labels {
  const [site = ""] = key.split("/");
  return { site, ...labels, rule, pipeline, domain, key, severity, fingerprint, priority: priorityOf(severity) };
}
