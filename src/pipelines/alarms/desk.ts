import { type Alarm, type AlarmMetrics, encodeToken, type Notice, type NoticeOutcome } from "../../core/index.js";
import {
  alarmLife,
  alarmMetrics,
  type DispatchNews,
  dispatcher,
  type LifeNews,
  labelsOf,
  type MetricsNews,
  pipeline,
  policyOf,
  type Routing,
  type Target,
  WALL_ONLY,
} from "../../operators/index.js";
import { type DeskEvent, deskSource } from "./desk-input.js";
import { readRouting } from "./routing-message.js";

const ROUTING = "routing";

/** The alarm desk: what every alert means to people, who must know, and how well that works. */
export const desk = pipeline("alarms.desk", {
  summary: "alerts and commands to alarm states, notices and the alarm system's own metrics",
  version: 2,
  single: true,
});

const events = desk.from(deskSource);
const routing = desk.table<Routing>(ROUTING, {
  kind: ROUTING,
  read: (body) => ({ key: ROUTING, value: readRouting(body) }),
});
const routings = desk.control(ROUTING, readRouting);

const alarms = events
  .lookup(routing, () => ROUTING, lifeNews)
  .filter((news) => news !== undefined)
  .keyBy(fingerprintOf, { local: true })
  .process("life", alarmLife);
alarms.to({ stream: "alarms", write: (record) => ({ stream: "alarms", subject: stateSubject(record), record }) });

alarms
  .map((alarm): DispatchNews => ({ kind: "alarm", alarm }))
  .values()
  .union(
    events.filter(isOutcome).map(({ outcome }): DispatchNews => ({ kind: "outcome", outcome })),
    routings.map((routing): DispatchNews => ({ kind: "routing", routing })),
  )
  .keyBy(() => "desk", { local: true })
  .process("dispatch", dispatcher)
  .to(notices());

alarms
  .map((alarm): MetricsNews => ({ kind: "alarm", alarm }))
  .values()
  .union(routings.map(({ operators }): MetricsNews => ({ kind: "operators", operators })))
  .keyBy(() => "desk", { local: true })
  .process("metrics", alarmMetrics)
  .to(metrics());

function lifeNews(event: DeskEvent, routing: Routing = WALL_ONLY): LifeNews | undefined {
  if (event.kind === "outcome") return undefined;
  if (event.kind === "command") return event;
  return { ...event, policy: policyOf(routing, labelsOf(event.alert)) };
}

function fingerprintOf(news: LifeNews): string {
  return news.kind === "alert" ? news.alert.fingerprint : news.command.target;
}

function isOutcome(event: DeskEvent): event is { readonly kind: "outcome"; readonly outcome: NoticeOutcome } {
  return event.kind === "outcome";
}

function stateSubject({ fingerprint }: Alarm): string {
  return `alarms.0.state.${encodeToken(fingerprint)}`;
}

function notices(): Target<Notice> {
  return {
    stream: "notify",
    write: (record) => ({ stream: "notify", subject: `notify.${encodeToken(record.receiver)}.request`, record }),
  };
}

function metrics(): Target<AlarmMetrics> {
  return { stream: "alarms", write: (record) => ({ stream: "alarms", subject: "alarms.0.metrics", record }) };
}
