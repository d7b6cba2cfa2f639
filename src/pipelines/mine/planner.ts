import { encodeToken, formatTime, MINUTE_MS, type PlanRequest } from "../../core/index.js";
import {
  type LastHour,
  type MeasuredCycle,
  measureHour,
  NOTHING_MEASURED,
  type ProcessFunction,
  type Target,
  withCycle,
} from "../../operators/index.js";

const HORIZON_MIN = 60;
/** A plan needs time to show; another shovel's failure does not wait. */
const PAUSE_MS = 30 * MINUTE_MS;

/** Fewer trips in the measured hour are a site that stands (a shift change): there is nothing to plan from. */
const FEWEST_TRIPS = 20;

type Trigger = PlanRequest["trigger"];

/** What makes a site think about its plan. */
export type PlanNews =
  | { readonly kind: "cycle"; readonly cycle: MeasuredCycle }
  /** Shovels that load again, and such as fell silent, each with the words for it. */
  | {
      readonly kind: "shovels";
      readonly resumed: string | undefined;
      readonly silent: readonly { readonly shovel: string; readonly reason: string }[];
    }
  | { readonly kind: "fuel-drift"; readonly reason: string };

interface Site {
  readonly hour: LastHour;
  readonly silent: readonly string[];
  /** Of the latest request; null before the first. */
  readonly asked: { readonly timeMs: number; readonly key: string } | null;
}

/**
 * Asks for plans: the measured hour, which shovels are silent, and the tonnes to move in the next one. For a stream by site, in
 * event-time order.
 *
 * Asks:  for the first once an hour has been measured; then when a shovel falls silent or the fuel drifts, unless it asked too recently
 *        or nothing is known of the last hour.
 */
export function planner({
  maxSites,
}: {
  readonly maxSites: number;
}): ProcessFunction<string, PlanNews, Site, PlanRequest> {
  return {
    ttlMs: Number.POSITIVE_INFINITY,
    maxKeys: maxSites,
    init: () => ({ hour: NOTHING_MEASURED, silent: [], asked: null }),
    onEvent(site, news, { key: name, timeMs: nowMs, emit }) {
      const ask = (from: Site, trigger: Trigger, reason: string): Site => {
        const request = requestOf(name, from, nowMs, trigger, reason);
        if (request === undefined) return from;
        emit(request);
        return { ...from, asked: { timeMs: nowMs, key: trigger.key } };
      };
      switch (news.kind) {
        case "cycle": {
          const next = { ...site, hour: withCycle(site.hour, news.cycle) };
          if (next.asked !== null) return next;
          return ask(next, { kind: "start", key: name }, "the first hour of work has been measured");
        }
        case "shovels": {
          const fallen = news.silent.map(({ shovel }) => shovel);
          const silent = [...site.silent.filter((shovel) => shovel !== news.resumed), ...fallen].sort();
          return news.silent.reduce<Site>(
            (from, { shovel, reason }) => ask(from, { kind: "shovel-silent", key: shovel }, reason),
            { ...site, silent },
          );
        }
        case "fuel-drift":
          return ask(site, { kind: "fuel-drift", key: name }, news.reason);
      }
    },
  };
}

/** Undefined when one was asked for too recently, or there is nothing to plan from. */
function requestOf(
  name: string,
  { hour, silent, asked }: Site,
  nowMs: number,
  trigger: Trigger,
  reason: string,
): PlanRequest | undefined {
  const another = trigger.kind === "shovel-silent" && trigger.key !== asked?.key;
  if (asked !== null && nowMs - asked.timeMs < PAUSE_MS && !another) return undefined;
  const measured = measureHour(hour, nowMs);
  if (measured === undefined) return undefined;
  const { trucks, tonnes, shovels, dumps, routes } = measured;
  if (routes.reduce((sum, { trips }) => sum + trips, 0) < FEWEST_TRIPS) return undefined;
  return {
    kind: "plan-request",
    site: name,
    ts: formatTime(nowMs),
    reason,
    trigger,
    horizonMin: HORIZON_MIN,
    trucks,
    targetT: Math.round((tonnes * HORIZON_MIN) / 60),
    shovels: shovels.map((shovel) => ({ ...shovel, available: !silent.includes(shovel.shovel) })),
    dumps,
    routes,
  };
}

export const planRequests: Target<PlanRequest> = {
  stream: "plans",
  write: (record) => ({ stream: "plans", subject: `plans.${encodeToken(record.site)}.request`, record }),
};
