import { type Emit, encodeToken, formatTime, MINUTE_MS, type PlanRequest } from "../../core/index.js";
import { keyed, type LastHour, type ShovelWatch, type Stateful } from "../../operators/index.js";

const HORIZON_MIN = 60;
/** A plan needs time to show; another shovel's failure does not wait. */
const PAUSE_MS = 30 * MINUTE_MS;

/** Fewer trips in the measured hour are a site that stands (a shift change): there is nothing to plan from. */
const FEWEST_TRIPS = 20;

type Trigger = PlanRequest["trigger"];

interface Site {
  asked: boolean;
  lastMs: number;
  lastKey: string;
}

export interface Planner extends Stateful {
  /** Asks for a new plan as of `nowMs`, unless one was asked for too recently or nothing is known of the last hour. */
  ask(site: string, nowMs: number, trigger: Trigger, reason: string, emit: Emit): void;
  /** Asks for the site's first plan, once an hour has been measured. */
  start(site: string, nowMs: number, emit: Emit): void;
}

/** Writes plan requests: the measured hour, which shovels are silent, and the tonnes to move in the next one. */
export function planner(hour: LastHour, watch: ShovelWatch, maxSites: number): Planner {
  const sites = keyed<Site>({
    maxKeys: maxSites,
    create: () => ({ asked: false, lastMs: 0, lastKey: "" }),
    save: (site) => site,
    load: (saved) => saved as Site,
  });

  function ask(name: string, nowMs: number, trigger: Trigger, reason: string, emit: Emit): void {
    const site = sites.at(name, nowMs);
    const another = trigger.kind === "shovel-silent" && trigger.key !== site.lastKey;
    if (site.asked && nowMs - site.lastMs < PAUSE_MS && !another) return;
    const measured = hour.measure(name, nowMs);
    if (measured === undefined) return;
    const { trucks, tonnes, shovels, dumps, routes } = measured;
    if (routes.reduce((sum, { trips }) => sum + trips, 0) < FEWEST_TRIPS) return;
    const record: PlanRequest = {
      kind: "plan-request",
      site: name,
      ts: formatTime(nowMs),
      reason,
      trigger,
      horizonMin: HORIZON_MIN,
      trucks,
      targetT: Math.round((tonnes * HORIZON_MIN) / 60),
      shovels: shovels.map((shovel) => ({ ...shovel, available: !watch.isSilent(name, shovel.shovel) })),
      dumps,
      routes,
    };
    emit({ stream: "plans", subject: `plans.${encodeToken(name)}.request`, record });
    Object.assign(site, { asked: true, lastMs: nowMs, lastKey: trigger.key });
  }

  return {
    ask,
    start(name, nowMs, emit) {
      if (sites.get(name)?.asked) return;
      ask(name, nowMs, { kind: "start", key: name }, "the first hour of work has been measured", emit);
    },
    save: () => sites.save(),
    load: (state) => sites.load(state as ReturnType<typeof sites.save>),
  };
}
