import {
  type Alarm,
  type AlarmCause,
  type AlarmState,
  type AlarmStep,
  type Alert,
  formatTime,
  MINUTE_MS,
  MillraceError,
  type OperatorCommand,
  parseTimeMs,
} from "../../core/index.js";
import type { ProcessAt, ProcessFunction } from "../engine/index.js";
import { GRAVITY, priorityOf } from "./priority.js";
import { type AlarmPolicy, DEFAULT_POLICY } from "./routing.js";
import { type AlarmEvent, isHidden, nextAlarmState } from "./states.js";

/** What an alarm hears: its alert, with the policy that fits it, or a command. */
export type LifeNews =
  | { readonly kind: "alert"; readonly alert: Alert; readonly policy: AlarmPolicy }
  | { readonly kind: "command"; readonly command: OperatorCommand };

/** State of one alarm. Times are desk time, ms; null where nothing is waited for. */
export interface Life {
  /** As last published; null before the first alert. */
  readonly alarm: Alarm | null;
  readonly policy: AlarmPolicy;
  /** When the delay of a reason that came, or went, is over. */
  readonly raiseAtMs: number | null;
  readonly clearAtMs: number | null;
  readonly shelfEndMs: number | null;
  readonly reAlarmAtMs: number | null;
}

const TRAIL_MOST = 50;
const ALARMS_MOST = 20_000;
const SHELVE_MIN = 60;
const NEW: Life = {
  alarm: null,
  policy: DEFAULT_POLICY,
  raiseAtMs: null,
  clearAtMs: null,
  shelfEndMs: null,
  reAlarmAtMs: null,
};

type At = Pick<ProcessAt<string, Alarm>, "emit" | "setTimer"> & { readonly nowMs: number };

interface Change {
  readonly cause: AlarmCause;
  readonly state?: AlarmState;
  readonly active?: boolean;
  readonly alert?: Alert;
  readonly command?: OperatorCommand;
  readonly detail?: string;
  readonly refused?: true;
  readonly assignee?: string;
  readonly retracted?: boolean;
}

/**
 * One alarm's life, for a stream by fingerprint: alerts and commands in, a record for each of them out, and one for each thing time does.
 *
 * Time:  desk time is the watermark, that is the ticks in the log; delays, shelves and re-alarms are over at a tick. What an alert
 *        says of its own time stays as it is in the record.
 * Order: that of the log, so commands of two operators end in one state, and both are in the trail, the one that came too late as refused.
 * State: one record and four times an alarm, at most 20 000 alarms; the one longest without news is forgotten first.
 * Errors: MR_REQUEST_INVALID (a dead letter) for a command about no alarm.
 */
export const alarmLife: ProcessFunction<string, LifeNews, Life, Alarm> = {
  ttlMs: Number.POSITIVE_INFINITY,
  maxKeys: ALARMS_MOST,
  init: () => NEW,
  onEvent(life, news, process) {
    const told = news.kind === "alert" ? news.alert.ts : news.command.ts;
    const at = atOf(process, process.watermarkMs > 0 ? process.watermarkMs : (parseTimeMs(told) ?? 0));
    return news.kind === "alert"
      ? hearAlert({ ...life, policy: news.policy }, news.alert, at)
      : obey(life, news.command, at);
  },
  onTimer: (life, timeMs, process) => passTime(life, atOf(process, timeMs)),
};

function atOf({ emit, setTimer }: ProcessAt<string, Alarm>, nowMs: number): At {
  return { emit, setTimer, nowMs };
}

function hearAlert(life: Life, alert: Alert, at: At): Life {
  const { alarm, policy } = life;
  const known = alarm?.alert;
  if (known !== undefined && alert.ts <= known.ts && alert.revision <= known.revision) return life; // heard before
  if (alert.state === "retracted") return retract({ ...life, raiseAtMs: null, clearAtMs: null }, alert, at);
  const active = alarm?.active ?? false;
  const wanted = holds(alert, policy, active || life.raiseAtMs !== null);
  if (wanted && active) return worsen({ ...life, clearAtMs: null }, alert, at);
  if (wanted === active) return publish({ ...life, raiseAtMs: null }, { cause: "news", alert }, at); // came and went within the delay
  const delayMs = wanted ? policy.onDelayMs : policy.offDelayMs;
  if (delayMs === 0) return wanted ? raise(life, alert, at) : clear(life, alert, at);
  const due = wanted ? "raiseAtMs" : "clearAtMs";
  const dueMs = life[due] ?? at.nowMs + delayMs;
  at.setTimer(dueMs);
  return publish({ ...life, [due]: dueMs }, { cause: "news", alert }, at);
}

/** Whether the alert's reason counts, by its state and the deadband on its score. */
function holds({ state, score }: Alert, { deadband }: AlarmPolicy, before: boolean): boolean {
  if (state !== "firing") return false;
  if (deadband === null || score === null) return true;
  return before ? score >= deadband.clearBelow : score >= deadband.raiseAt;
}

function raise(life: Life, alert: Alert, at: At): Life {
  const event = priorityOf(alert.severity) === "event" ? "inform" : "raise";
  const change = { cause: "raise", alert, active: true, retracted: false } as const;
  return happen({ ...life, raiseAtMs: null }, event, change, at);
}

function clear(life: Life, alert: Alert, at: At): Life {
  return happen({ ...life, clearAtMs: null }, "clear", { cause: "clear", alert, active: false }, at);
}

function retract(life: Life, alert: Alert, at: At): Life {
  return happen(life, "retract", { cause: "retract", alert, active: false, retracted: true }, at);
}

/** Graver than what was taken note of: somebody must take note again. */
function worsen(life: Life, alert: Alert, at: At): Life {
  const before = life.alarm?.alert;
  if (before === undefined || GRAVITY[alert.severity] <= GRAVITY[before.severity])
    return publish(life, { cause: "news", alert }, at);
  const state = life.alarm?.state === "acknowledged" ? "unacknowledged" : life.alarm?.state;
  return publish({ ...life, reAlarmAtMs: null }, { cause: "worsen", alert, ...(state && { state }) }, at);
}

/** Moves by the table; every event of an alert is possible in every state. */
function happen(life: Life, event: AlarmEvent, change: Change, at: At): Life {
  const state = nextOf(life, event, change);
  return publish(life, { ...change, ...(state && { state }) }, at);
}

function nextOf(
  { alarm, policy }: Life,
  event: AlarmEvent,
  change: Pick<Change, "active" | "alert">,
): AlarmState | undefined {
  const active = change.active ?? alarm?.active ?? false;
  const alert = change.alert ?? alarm?.alert;
  const informs = alert !== undefined && priorityOf(alert.severity) === "event";
  return nextAlarmState(alarm?.state ?? "normal", event, { active, latching: policy.latch, informs });
}

const EVENT_OF: Partial<Record<OperatorCommand["command"], AlarmEvent>> = {
  ...{ ack: "ack", unack: "unack", reset: "reset", shelve: "shelve", unshelve: "unshelve" },
  ...{ suppress: "suppress", unsuppress: "restore" },
};

function obey(life: Life, command: OperatorCommand, at: At): Life {
  const { alarm } = life;
  if (alarm === null)
    throw new MillraceError(
      "MR_REQUEST_INVALID",
      `${command.command} by ${command.by}: there is no alarm ${command.target}`,
    );
  const refuse = (detail: string): Life =>
    publish(life, { cause: command.command, command, detail, refused: true }, at);
  const { text, to } = command.args;
  switch (command.command) {
    case "comment":
      if (typeof text !== "string" || text === "") return refuse("a comment needs args.text");
      return publish(life, { cause: "comment", command, detail: text }, at);
    case "assign":
      if (typeof to !== "string" || to === "") return refuse("assign needs args.to");
      return publish(life, { cause: "assign", command, detail: to, assignee: to }, at);
    case "escalate":
      if (alarm.state !== "unacknowledged") return refuse(`nobody is called for an alarm that is ${alarm.state}`);
      return publish(life, { cause: "escalate", command }, at);
    default:
      return move(life, command, alarm, at, refuse);
  }
}

function move(life: Life, command: OperatorCommand, alarm: Alarm, at: At, refuse: (detail: string) => Life): Life {
  const { command: cause, args } = command;
  const wanted = EVENT_OF[cause] as AlarmEvent;
  const event = wanted === "suppress" && args["outOfService"] === true ? "remove" : wanted;
  const state = nextOf(life, event, {});
  if (state === undefined) return refuse(`not possible while ${alarm.state}`);
  if (event !== "shelve") return publish(life, { cause, command, state }, at);
  const { minutes = SHELVE_MIN } = args;
  const mostMin = life.policy.shelveMostMs / MINUTE_MS;
  if (typeof minutes !== "number" || !(minutes > 0 && minutes <= mostMin))
    return refuse(`args.minutes must be above 0 and at most ${mostMin}`);
  const shelfEndMs = at.nowMs + Math.ceil(minutes * MINUTE_MS);
  at.setTimer(shelfEndMs);
  return publish({ ...life, shelfEndMs }, { cause, command, state, detail: `until ${formatTime(shelfEndMs)}` }, at);
}

/** Whatever is due, in the order in which a person would expect it: the reason first, then what is shown of it. */
function passTime(before: Life, at: At): Life {
  const isDue = (dueMs: number | null): boolean => dueMs !== null && dueMs <= at.nowMs;
  let life = before;
  const alert = life.alarm?.alert;
  if (alert !== undefined && isDue(life.raiseAtMs)) life = raise(life, alert, at);
  if (alert !== undefined && isDue(life.clearAtMs)) life = clear(life, alert, at);
  if (isDue(life.shelfEndMs)) life = happen({ ...life, shelfEndMs: null }, "unshelve", { cause: "shelf-expired" }, at);
  if (isDue(life.reAlarmAtMs)) life = happen({ ...life, reAlarmAtMs: null }, "re-alarm", { cause: "re-alarm" }, at);
  return life;
}

/** The alarm as the change leaves it, with a line in its trail, and what has to be waited for from here on. */
function publish(life: Life, change: Change, at: At): Life {
  const { alarm: before, policy } = life;
  const { cause, command, detail = "", refused = false } = change;
  const alert = change.alert ?? (before as Alarm).alert; // without an alarm there is an alert
  const from = before?.state ?? "normal";
  const state = change.state ?? from;
  const ts = formatTime(at.nowMs);
  const step: AlarmStep = {
    ...{ ts, cause, from, to: state, by: command?.by ?? null, role: command?.role ?? null },
    ...{ reason: command?.reason ?? "", detail, refused },
  };
  const active = change.active ?? before?.active ?? false;
  const shelfEndMs = state === "shelved" ? life.shelfEndMs : null;
  const rests =
    state === "acknowledged" && active && policy.reAlarmMs !== null && priorityOf(alert.severity) !== "event";
  const reAlarmAtMs = rests ? (life.reAlarmAtMs ?? at.nowMs + (policy.reAlarmMs as number)) : null;
  if (reAlarmAtMs !== null) at.setTimer(reAlarmAtMs);
  const alarm: Alarm = {
    ...{ schema: "millrace.alarm/1", fingerprint: alert.fingerprint, revision: (before?.revision ?? 0) + 1 },
    ...{
      state,
      active,
      retracted: change.retracted ?? before?.retracted ?? false,
      priority: priorityOf(alert.severity),
    },
    ...{ cause, ts, since: before === null || from !== state ? ts : before.since },
    shelvedUntil: shelfEndMs === null ? null : formatTime(shelfEndMs),
    assignee: change.assignee ?? (state === "normal" && !isHidden(from) ? null : (before?.assignee ?? null)),
    alert,
    trail: [...(before?.trail ?? []), step].slice(-TRAIL_MOST),
  };
  at.emit(alarm);
  return { ...life, alarm, shelfEndMs, reAlarmAtMs };
}
