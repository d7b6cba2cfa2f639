import type { Alert } from "../../core/index.js";
import { encodeToken, type Feature } from "../../core/index.js";
import type { Target } from "../../operators/index.js";
import {
  incidentKey,
  NO_RULES,
  pipeline,
  type RuleInput,
  type RuleNews,
  type RuleSet,
  ruleIncidents,
  ruleWatch,
  type Source,
  source,
  watchKey,
} from "../../operators/index.js";
import { RULES, readRules } from "./rules-message.js";

const NAME = "rules";
const VERSION = 1;
const MAX_INCIDENTS = 10_000;
/** Whose marks tell time: live, all of them follow the wall clock; no other pipeline says how far it has come. */
const TIMEKEEPER = "mine.telemetry";

/** Every feature, of whatever pipeline. */
const featureRecords: Source<Feature> = source<Feature>({
  stream: "features",
  decode(message, found) {
    const { length } = message.data;
    for (const line of Buffer.from(message.data).toString("utf8").split("\n")) {
      if (line === "") continue;
      const record = JSON.parse(line) as Feature; // our own writing: what is not JSON here is a damaged log
      if (record.kind === "feature") found.event(record, 0, length);
    }
  },
  time: ({ endMs }) => endMs,
  producers: ({ partitions }) => Array.from({ length: partitions }, (_, p) => `${TIMEKEEPER}/${p}`),
});

/** Rules of people's own over features, from `rules/*.yaml` by way of the log. Without any it says nothing. */
export const rules = pipeline(NAME, {
  summary: "features to alerts by the rules of rules/*.yaml: thresholds, rates, absence, and combinations of them",
  version: VERSION,
  late: ({ key }) => ({ domain: "system", key: String(key) }),
});

const events = rules.from(featureRecords);
const current = rules.table<RuleSet>(RULES, {
  kind: RULES,
  read: (body) => ({ key: RULES, value: readRules(body) }),
});
const named = (): string => RULES;

events
  .map((record, { sequence, index }) => ({ record, origin: { stream: "features", sequence, index } }))
  .lookup(current, named, (about, set = NO_RULES) => ({ ...about, set }))
  .filter(({ set }) => set.rules.length > 0)
  .flatMap<RuleInput>((input, emit) => {
    for (const by of ["key", "site"] as const)
      if (input.set.rules.some((rule) => rule.by === by)) emit({ by, ...input });
  })
  .keyBy(watchKey, { local: true })
  .process("conditions", ruleWatch)
  .values()
  .lookup(current, named, (news, set = NO_RULES) => ({ news, set }))
  .filter(({ news, set }) => isCurrent(news, set))
  .map(({ news }) => news)
  .keyBy(incidentKey, { local: true })
  .process("incidents", ruleIncidents({ pipeline: NAME, maxKeys: MAX_INCIDENTS }))
  .to(ruleAlerts());

/** A rule that was taken out may still clear what it raised, and raise nothing more. */
function isCurrent({ id, news }: RuleNews, { rules }: RuleSet): boolean {
  return news.kind === "clearance" || rules.some((rule) => rule.id === id);
}

function ruleAlerts(): Target<Alert> {
  return {
    stream: "alerts",
    write: (record, { partition }) => ({
      stream: "alerts",
      subject: `alerts.${partition}.${encodeToken(record.domain)}`,
      record,
    }),
  };
}
