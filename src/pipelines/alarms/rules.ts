import { type Alert, encodeToken, type Feature } from "../../core/index.js";
import {
  type AlertRule,
  isAbout,
  pipeline,
  type RuledFeature,
  ruleWatch,
  source,
  type Target,
} from "../../operators/index.js";

const NAME = "alarms.rules";
const RULES = "rules";

/** The body of `features.<p>._ctl.rules`: every rule, compiled and checked by whoever sent it. */
export interface RulesMessage {
  readonly schema: "millrace.rules/1";
  readonly rules: readonly AlertRule[];
}

/** Rules as configuration over every feature of the partition. A rule holds from its place in the log on. */
export const rules = pipeline(NAME, { summary: "rules of rules/*.yaml over features to alerts", version: 1 });

const features = rules.from(
  source<Feature>({
    stream: "features",
    decode({ subject, data }, found) {
      if (subject.split(".")[2] === encodeToken(NAME)) return;
      for (const line of Buffer.from(data).toString("utf8").split("\n")) {
        if (line === "") continue;
        const record = JSON.parse(line) as Feature; // our own writing
        if (record.kind === "feature") found.event(record, 0, data.length);
      }
    },
    time: ({ endMs }) => endMs,
  }),
);
const known = rules.table<readonly AlertRule[]>(RULES, {
  kind: RULES,
  read(body) {
    const { schema, rules } = body as Partial<RulesMessage>;
    if (schema !== "millrace.rules/1") throw new TypeError(`rules must be millrace.rules/1, got ${schema}`);
    return { key: RULES, value: rules ?? [] };
  },
});

features
  .lookup(
    known,
    () => RULES,
    (feature, rules = []) =>
      rules.filter((rule) => isAbout(rule, feature)).map((rule): RuledFeature => ({ rule, feature })),
  )
  .flatMap<RuledFeature>((found, emit) => found.forEach(emit))
  .keyBy(({ rule, feature }) => JSON.stringify([rule.name, feature.key]), { local: true })
  .process("watch", ruleWatch(NAME))
  .to(alerts());

function alerts(): Target<Alert> {
  return {
    stream: "alerts",
    write: (record, { partition }) => ({ stream: "alerts", subject: `alerts.${partition}.${record.domain}`, record }),
  };
}
