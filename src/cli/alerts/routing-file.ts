import { join } from "node:path";
import { packageRoot } from "../../core/index.js";
import { type Route, type Routing, WALL_ONLY } from "../../operators/index.js";
import type { Receiver } from "../../sinks/index.js";
import { type Problem, readYamlFile, type YamlPath } from "../yaml-file.js";
import { type RouteText, type RoutingText, routingSchema } from "./routing-schema.js";

/** The configuration that ships. */
export function shippedRouting(): string {
  return join(packageRoot(), "alerts/routing.yaml");
}

export interface RoutingFile {
  readonly routing: Routing;
  /** By name; secrets are named, not written. */
  readonly receivers: Readonly<Record<string, Receiver>>;
  readonly allowNetworks: readonly string[];
}

/** Reads, checks and compiles a routing file. Errors: MR_OPTION_INVALID with file, line, column and the fix of each problem. */
export async function readRoutingFile(path: string): Promise<RoutingFile> {
  const { value, refuse } = await readYamlFile(path, routingSchema as never);
  const text = value as RoutingText;
  const problems: Problem[] = [];
  const route = compile(text, text.route, WALL_ONLY.route, "0", ["route"], problems);
  refuse(problems);
  const { operators, receivers, allowNetworks, silences, inhibit: inhibitions, flood } = text;
  const routing: Routing = {
    operators,
    policies: text.alarms.map(({ match, onDelay, offDelay, reAlarm, latch, deadband, shelveMost }) => ({
      ...{ match, onDelayMs: onDelay, offDelayMs: offDelay, reAlarmMs: reAlarm, latch, deadband },
      shelveMostMs: shelveMost,
    })),
    route,
    silences: silences.map(({ from, until, ...rest }) => ({ ...rest, fromMs: from, untilMs: until })),
    inhibitions,
    flood: { alarms: flood.alarms, withinMs: flood.within, everyMs: flood.every },
  };
  return { routing, receivers, allowNetworks };
}

function compile(
  text: RoutingText,
  route: RouteText,
  above: Route,
  path: string,
  at: YamlPath,
  problems: Problem[],
): Route {
  const known = (names: readonly string[], all: object, what: string, of: YamlPath): void =>
    names.forEach((name, i) => {
      if (Object.hasOwn(all, name)) return;
      const others = Object.keys(all).join(", ") || "none";
      problems.push({ path: [...of, i], message: `there is no ${what} "${name}"; known are: ${others}` });
    });
  const { match, receivers = above.receivers, groupBy = above.groupBy } = route;
  known(route.receivers ?? [], text.receivers, "receiver", [...at, "receivers"]);
  known(route.mute ?? [], text.muteTimes, "mute time", [...at, "mute"]);
  route.escalate?.forEach((step, i) => {
    known(step.receivers, text.receivers, "receiver", [...at, "escalate", i, "receivers"]);
    if (i > 0 && step.after <= (route.escalate?.[i - 1]?.after ?? 0))
      problems.push({ path: [...at, "escalate", i, "after"], message: "each step must come after the one before" });
  });
  const own: Route = {
    ...{ path, match, receivers, groupBy, routes: [], goOn: route.continue },
    waitMs: route.wait ?? above.waitMs,
    intervalMs: route.interval ?? above.intervalMs,
    repeatMs: route.repeat ?? above.repeatMs,
    mute: route.mute?.flatMap((name) => text.muteTimes[name] ?? []) ?? above.mute,
    escalate: route.escalate?.map(({ after, receivers }) => ({ afterMs: after, receivers })) ?? above.escalate,
  };
  const routes = route.routes.map((below, i) =>
    compile(text, below, own, `${path}.${i}`, [...at, "routes", i], problems),
  );
  return { ...own, routes };
}
