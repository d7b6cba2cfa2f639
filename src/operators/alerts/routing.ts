import { MINUTE_MS } from "../../core/index.js";
import { type Labels, type Matcher, matchesAll } from "./matchers.js";
import { isWithin, type TimeSpan } from "./time-spans.js";

/** How alarms behave that fit `match`: the first policy that does counts. */
export interface AlarmPolicy {
  readonly match: readonly Matcher[];
  /** The reason must hold, or be gone, for so long before it counts, ms of desk time. */
  readonly onDelayMs: number;
  readonly offDelayMs: number;
  /** Acknowledged and still there after so long: it must be acknowledged again. Null: never. */
  readonly reAlarmMs: number | null;
  /** What is over stays until it is reset by hand. */
  readonly latch: boolean;
  /** Deadband on the score: raised from `raiseAt` on, over below `clearBelow`; between, it stays as it is. Null: the alert decides. */
  readonly deadband: { readonly raiseAt: number; readonly clearBelow: number } | null;
  /** The longest an operator may shelve it. */
  readonly shelveMostMs: number;
}

export const DEFAULT_POLICY: AlarmPolicy = {
  match: [],
  onDelayMs: 0,
  offDelayMs: 0,
  reAlarmMs: null,
  latch: false,
  deadband: null,
  shelveMostMs: 12 * 60 * MINUTE_MS,
};

/** Who is told of the alarms that fit, and how. A tree: the routes below a route see what fits it. */
export interface Route {
  /** Names the route in groups: its place in the tree, `0.2`. */
  readonly path: string;
  readonly match: readonly Matcher[];
  readonly receivers: readonly string[];
  /** Alarms whose values of these labels are equal are told of together. */
  readonly groupBy: readonly string[];
  /** From the first alarm of a group to its first notice; between two notices with news; between two without. */
  readonly waitMs: number;
  readonly intervalMs: number;
  readonly repeatMs: number;
  /** While one of these spans lasts nothing is said; what remains is said after it. */
  readonly mute: readonly TimeSpan[];
  /** Whom to call when nobody has taken note for so long, by `afterMs`. */
  readonly escalate: readonly { readonly afterMs: number; readonly receivers: readonly string[] }[];
  /** The next routes are asked too. */
  readonly goOn: boolean;
  readonly routes: readonly Route[];
}

export interface SilenceRule {
  readonly match: readonly Matcher[];
  /** RFC 3339 as ms; null: without end. */
  readonly fromMs: number | null;
  readonly untilMs: number | null;
  /** Only within these; always when there are none. */
  readonly spans: readonly TimeSpan[];
  readonly reason: string;
}

/** While an alarm that fits `source` is active, alarms that fit `target` with the same values of `equal` are not told of. */
export interface Inhibition {
  readonly source: readonly Matcher[];
  readonly target: readonly Matcher[];
  readonly equal: readonly string[];
}

/** More than `alarms` new ones for a receiver within `withinMs`: it gets one digest instead, until it is quiet again. */
export interface FloodGuard {
  readonly alarms: number;
  readonly withinMs: number;
  /** Between two digests. */
  readonly everyMs: number;
}

/** `alerts/routing.yaml` as the desk knows it: plain data, in the log. */
export interface Routing {
  readonly operators: number;
  readonly policies: readonly AlarmPolicy[];
  readonly route: Route;
  readonly silences: readonly SilenceRule[];
  readonly inhibitions: readonly Inhibition[];
  readonly flood: FloodGuard;
}

/** Everything to the wall, nothing to anybody else. */
export const WALL_ONLY: Routing = {
  operators: 1,
  policies: [],
  route: {
    path: "0",
    match: [],
    receivers: [],
    groupBy: ["rule", "site"],
    waitMs: 30_000,
    intervalMs: 5 * MINUTE_MS,
    repeatMs: 4 * 60 * MINUTE_MS,
    mute: [],
    escalate: [],
    goOn: false,
    routes: [],
  },
  silences: [],
  inhibitions: [],
  flood: { alarms: 20, withinMs: MINUTE_MS, everyMs: 10 * MINUTE_MS },
};

export function policyOf({ policies }: Routing, labels: Labels): AlarmPolicy {
  return policies.find(({ match }) => matchesAll(match, labels)) ?? DEFAULT_POLICY;
}

/** The routes that tell of such an alarm: in each list of routes the first that fits, further ones after `goOn`, the deepest each. */
export function routesFor(route: Route, labels: Labels): readonly Route[] {
  if (!matchesAll(route.match, labels)) return [];
  const found: Route[] = [];
  for (const below of route.routes) {
    const deeper = routesFor(below, labels);
    found.push(...deeper);
    if (deeper.length > 0 && !below.goOn) break;
  }
  return found.length > 0 ? found : [route];
}

/** All routes of the tree by their paths. */
export function routeAt(route: Route, path: string): Route | undefined {
  if (route.path === path) return route;
  for (const below of route.routes) {
    const found = routeAt(below, path);
    if (found !== undefined) return found;
  }
  return undefined;
}

export function isSilenced(silences: readonly SilenceRule[], labels: Labels, nowMs: number): boolean {
  return silences.some(
    ({ match, fromMs, untilMs, spans }) =>
      (fromMs === null || nowMs >= fromMs) &&
      (untilMs === null || nowMs < untilMs) &&
      (spans.length === 0 || spans.some((span) => isWithin(span, nowMs))) &&
      matchesAll(match, labels),
  );
}

/** Whether an active alarm of another fingerprint keeps one from being told of. O(inhibitions) each, after O(active). */
export function inhibitor(inhibitions: readonly Inhibition[], active: Iterable<Labels>): (labels: Labels) => boolean {
  const sourcesOf = inhibitions.map(() => new Map<string, Set<string | undefined>>());
  for (const labels of active) {
    inhibitions.forEach(({ source, equal }, i) => {
      if (!matchesAll(source, labels)) return;
      const same = valuesOf(labels, equal);
      const sources = sourcesOf[i]?.get(same);
      if (sources === undefined) sourcesOf[i]?.set(same, new Set([labels["fingerprint"]]));
      else sources.add(labels["fingerprint"]);
    });
  }
  return (labels) =>
    inhibitions.some(({ target, equal }, i) => {
      if (!matchesAll(target, labels)) return false;
      const sources = sourcesOf[i]?.get(valuesOf(labels, equal));
      return sources !== undefined && (sources.size > 1 || !sources.has(labels["fingerprint"]));
    });
}

function valuesOf(labels: Labels, of: readonly string[]): string {
  return JSON.stringify(of.map((label) => labels[label] ?? ""));
}
