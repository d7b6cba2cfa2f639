import { type Alert, encodeToken, type Feature, formatTime, type LogMessage } from "../../core/index.js";
import type { AlertRule } from "../../operators/index.js";
import { pipelines } from "../../pipelines/index.js";
import type { RuleTest } from "./rule-files.js";

/** What differs from what a test expects; empty: it holds. */
export function differencesOf(rules: readonly AlertRule[], test: RuleTest): readonly string[] {
  const got = alertsOf(rules, test).map(inWords);
  const expected = test.expect.map(({ at, rule, key, state, title }) =>
    inWords({ rule, key, state, ts: formatTime(at), title: title ?? "" }),
  );
  const isIn = (line: string, list: readonly string[]): boolean => list.some((other) => same(line, other));
  return [
    ...expected.filter((line) => !isIn(line, got)).map((line) => `expected, not said: ${line.trim()}`),
    ...got.filter((line) => !isIn(line, expected)).map((line) => `said, not expected: ${line.trim()}`),
  ];
}

/** An expectation without a title fits any. */
function same(a: string, b: string): boolean {
  const [headA = "", titleA = ""] = a.split("  ");
  const [headB = "", titleB = ""] = b.split("  ");
  return headA === headB && (titleA === "" || titleB === "" || titleA === titleB);
}

function inWords({ ts, rule, key, state, title }: Pick<Alert, "ts" | "rule" | "key" | "state" | "title">): string {
  return `${ts} ${rule} ${key} ${state}  ${title}`;
}

/** Plays the events through the rules' own pipeline, without a log. */
function alertsOf(rules: readonly AlertRule[], { events, until }: RuleTest): readonly Alert[] {
  const pipeline = pipelines.find(({ name }) => name === "alarms.rules");
  if (pipeline === undefined) return [];
  const inference = { run: () => Promise.reject(new Error("rules ask no model")) };
  const program = pipeline.create({ task: `${pipeline.name}/0`, partition: 0, partitions: 1, inference });
  const alerts: Alert[] = [];
  let sequence = 0;
  const send = (what: string, body: object): void => {
    const message: LogMessage = {
      ...{ sequence: ++sequence, subject: `features.0.${what}`, data: Buffer.from(JSON.stringify(body)) },
      header: () => undefined,
    };
    program.apply(message, undefined, ({ stream, record }) => {
      if (stream === "alerts") alerts.push(record as Alert);
    });
  };
  const tick = (t: number): void => send("_tick.live", { source: "live", t, mark: t });
  send("_ctl.rules", { schema: "millrace.rules/1", rules });
  for (const { at, from, feature, key, values, labels } of events) {
    const [site = ""] = key.split("/");
    const row: Feature = {
      ...{ kind: "feature", feature, pipeline: "test", domain: "sensor", site, key, startMs: from ?? at, endMs: at },
      ...{ values, labels, scores: {} },
    };
    tick(at);
    send(`test.${encodeToken(key)}`, row);
  }
  tick(until ?? events.at(-1)?.at ?? 0);
  return alerts;
}
