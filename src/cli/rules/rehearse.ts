import { type Alert, encodeToken, type Feature, type LogMessage, type OutputRecord } from "../../core/index.js";
import { pipelines } from "../../pipelines/index.js";
import { type PlacedTest, type RuleFile, rulesMessage } from "./rule-file.js";

/** Tests begin at a time with round numbers. */
const START_MS = Date.UTC(2026, 0, 1);
const PARTITION = 0;

export interface Failure {
  /** `file:line:column`. */
  readonly place: string;
  readonly test: string;
  readonly message: string;
}

type Told = { readonly at: string; readonly rule: string; readonly key: string; readonly state: string } & Readonly<
  Record<string, unknown>
>;

/**
 * Runs a test of a rules file on the pipeline itself: the same program as in `millrace up`, given the rules as its control message.
 * Returns what came otherwise than expected, in order; nothing when all is well.
 */
export function runTest({ rules }: RuleFile, { test, place, expectPlaces }: PlacedTest): readonly Failure[] {
  const got = alertsOf(rules, test);
  const failures: Failure[] = [];
  const fail = (at: string, message: string): void => void failures.push({ place: at, test: test.name, message });
  for (let i = 0; i < Math.max(got.length, test.expect.length); i++) {
    const alert = got[i];
    const wanted = test.expect[i];
    if (alert === undefined) fail(expectPlaces[i] ?? place, `expected ${shown(wantedOf(test, i))}, no more came`);
    else if (wanted === undefined) fail(place, `nothing more was expected, got ${shown(toldOf(alert))}`);
    else {
      const told: Told = toldOf(alert);
      const differs = Object.entries(wantedOf(test, i)).filter(([field, value]) => told[field] !== value);
      if (differs.length === 0) continue;
      const fields = differs.map(([field, value]) => `${field} ${told[field]} instead of ${value}`).join(", ");
      fail(expectPlaces[i] ?? place, `expected ${shown(wantedOf(test, i))}, got ${shown(told)}: ${fields}`);
    }
  }
  return failures;
}

function alertsOf(rules: RuleFile["rules"], { given, until }: PlacedTest["test"]): readonly Alert[] {
  const pipeline = pipelines.find(({ name }) => name === "rules");
  if (pipeline === undefined) throw new Error("this build has no pipeline rules");
  const inference = { run: () => Promise.reject(new Error("rules ask no model")) };
  const program = pipeline.create({ task: `rules/${PARTITION}`, partition: PARTITION, partitions: 1, inference });
  const alerts: Alert[] = [];
  let sequence = 0;
  const send = (tokens: string, body: object): void => {
    const data = Buffer.from(JSON.stringify(body));
    const message: LogMessage = {
      ...{ sequence: ++sequence, subject: `features.${PARTITION}.${tokens}`, data },
      header: () => undefined,
    };
    program.apply(message, undefined, ({ record, stream }) => {
      if (stream === "alerts") alerts.push(record as OutputRecord as Alert);
      else if (stream === "dead") throw new Error(`a rule threw: ${(record as { reason?: string }).reason}`);
    });
  };
  const passTime = (watermarkMs: number): void =>
    send("_mark.mine%2Etelemetry%2F0", { kind: "mark", task: "mine.telemetry/0", watermarkMs });
  send("_ctl.rules", rulesMessage(rules.map(({ enabled: _, ...rule }) => rule)));
  for (const { at, ...rest } of given) {
    const endMs = START_MS + at;
    const site = rest.site ?? (rest.key.split("/")[0] as string);
    const record: Feature = { kind: "feature", ...rest, site, startMs: endMs, endMs };
    send(`${encodeToken(rest.pipeline)}.${encodeToken(rest.key)}`, record);
    passTime(endMs);
  }
  passTime(START_MS + Math.max(until, ...given.map(({ at }) => at)));
  return alerts;
}

function toldOf({ ts, rule, key, state, severity, value, title }: Alert): Told {
  return { at: offset(Date.parse(ts) - START_MS), rule, key, state, severity, value, title };
}

function wantedOf({ expect }: PlacedTest["test"], i: number): Told {
  const { at, ...rest } = expect[i] as (typeof expect)[number];
  return { at: offset(at), ...rest };
}

function shown({ rule, key, state, at }: Told): string {
  return `${rule} ${state} for ${key} at ${at}`;
}

function offset(ms: number): string {
  const units = [
    ["d", 86_400_000],
    ["h", 3_600_000],
    ["m", 60_000],
    ["s", 1_000],
  ] as const;
  const [unit, size] = units.find(([, size]) => ms > 0 && ms % size === 0) ?? ["ms", 1];
  return `${ms / size}${unit}`;
}
