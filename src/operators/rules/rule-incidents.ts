import type { Alert } from "../../core/index.js";
import { type Incident, type IncidentOptions, incidents } from "../alerts/incidents.js";
import type { ProcessFunction } from "../engine/index.js";
import type { RuleNews } from "./rule-watch.js";

/**
 * The incidents of all rules: as `incidents`, with the rule, domain and quiet time of each piece of news. For a stream keyed by
 * `incidentKey`. A fingerprint is of the rule's name and its group, so its revision goes on over a change of the rule.
 */
export function ruleIncidents({
  pipeline,
  maxKeys,
}: Pick<IncidentOptions, "pipeline" | "maxKeys">): ProcessFunction<string, RuleNews, Incident, Alert> {
  const of = ({ rule, domain, quietMs }: Pick<RuleNews, "rule" | "domain" | "quietMs">) =>
    incidents({ pipeline, rule, domain, quietMs, maxKeys });
  // What is said when quiet is complete is made of the open alert alone.
  const { init, onTimer, ttlMs } = of({ rule: "", domain: "system", quietMs: 0 });
  return {
    ...{ init, ttlMs, maxKeys },
    ...(onTimer && { onTimer }),
    onEvent: (incident, { news, ...about }, at) => of(about).onEvent(incident, news, at),
  };
}

export function incidentKey({ rule, news }: RuleNews): string {
  return JSON.stringify([rule, news.key]);
}
