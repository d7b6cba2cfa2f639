import { type Alert, HOUR_MS, type LogMessage, type Notice, parseTimeMs } from "../../core/index.js";
import { inhibitor, isSilenced, labelsOf, policyOf, type Routing, routesFor } from "../../operators/index.js";
import { pipelines } from "../../pipelines/index.js";

/** What a routing does with one alert by itself, and with all of them together. */
export interface Rehearsal {
  readonly alerts: readonly {
    readonly alert: Alert;
    readonly labels: Readonly<Record<string, string>>;
    /** Places in the tree, with the receivers named there. */
    readonly routes: readonly { readonly path: string; readonly receivers: readonly string[] }[];
    readonly policy: ReturnType<typeof policyOf>;
    /** Hidden from everybody but the wall now, and by what. */
    readonly kept: "silence" | "inhibition" | null;
  }[];
  /** What would be said in the hours after the last alert, if nobody took note. */
  readonly notices: readonly Notice[];
}

const SHOWN_HOURS = 24;

/** Plays alerts, in their order, through the alarm desk itself, without a log. Pure. */
export function rehearse(routing: Routing, alerts: readonly Alert[]): Rehearsal {
  const all = alerts.map((alert) => ({ alert, labels: labelsOf(alert) }));
  const isInhibited = inhibitor(
    routing.inhibitions,
    all.flatMap(({ alert, labels }) => (alert.state === "firing" ? [labels] : [])),
  );
  return {
    alerts: all.map(({ alert, labels }) => {
      const nowMs = parseTimeMs(alert.ts) ?? 0;
      const silenced = isSilenced(routing.silences, labels, nowMs);
      const inhibited = isInhibited(labels);
      return {
        ...{ alert, labels, policy: policyOf(routing, labels) },
        routes: routesFor(routing.route, labels).map(({ path, receivers }) => ({ path, receivers })),
        kept: silenced ? "silence" : inhibited ? "inhibition" : null,
      };
    }),
    notices: play(routing, alerts),
  };
}

function play(routing: Routing, alerts: readonly Alert[]): readonly Notice[] {
  const desk = pipelines.find(({ source }) => source === "desk");
  if (desk === undefined) return [];
  const inference = { run: () => Promise.reject(new Error("the alarm desk asks no model")) };
  const program = desk.create({ task: `${desk.name}/0`, partition: 0, partitions: 1, inference });
  const notices: Notice[] = [];
  let sequence = 0;
  const send = (what: string, body: object): void => {
    const message: LogMessage = {
      ...{ sequence: ++sequence, subject: `desk.0.${what}`, data: Buffer.from(JSON.stringify(body)) },
      header: () => undefined,
    };
    program.apply(message, undefined, ({ stream, record }) => {
      if (stream === "notify") notices.push(record as Notice);
    });
  };
  const times = alerts.map(({ ts }) => parseTimeMs(ts) ?? 0);
  send("_ctl.routing", { schema: "millrace.routing/1", routing });
  alerts.forEach((alert, i) => {
    send("_tick.live", { source: "live", t: times[i] });
    send("alert.any", alert);
  });
  send("_tick.live", { source: "live", t: Math.max(...times) + SHOWN_HOURS * HOUR_MS });
  return notices;
}
