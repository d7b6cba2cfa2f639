import type { CommandName } from "./commands.js";
import type { Alert } from "./records.js";

/** Where an alarm is in its life: the states of ISA-18.2 (IEC 62682), A to G, and latched. docs/alerts.md draws them. */
export type AlarmState =
  | "normal"
  | "unacknowledged"
  | "acknowledged"
  | "returned-unacknowledged"
  | "latched"
  | "shelved"
  | "suppressed"
  | "out-of-service";

/** What an alert's severity means to operators: info, warning, critical. */
export type AlarmPriority = "event" | "medium" | "high";

/** What happened to an alarm: its alert, its time, or somebody. */
export type AlarmCause = "raise" | "worsen" | "clear" | "retract" | "re-alarm" | "shelf-expired" | "news" | CommandName;

/** One line of an alarm's audit trail. */
export interface AlarmStep {
  /** RFC 3339, desk time. */
  readonly ts: string;
  readonly cause: AlarmCause;
  readonly from: AlarmState;
  readonly to: AlarmState;
  /** Who asked, as the audit stream names them; null for what the alert or time did. */
  readonly by: string | null;
  readonly role: string | null;
  /** Why, in their words. */
  readonly reason: string;
  /** A comment's text, a shelf's end, who was made responsible; why a command was refused. Empty otherwise. */
  readonly detail: string;
  /** The command was not possible in this state, and changed nothing. */
  readonly refused: boolean;
}

/** One record of the stream `alarms`, on `alarms.0.state.<fingerprint>`: the alarm as it now is. The newest counts. */
export interface Alarm {
  readonly schema: "millrace.alarm/1";
  readonly fingerprint: string;
  /** Grows by one with every record of the fingerprint. */
  readonly revision: number;
  readonly state: AlarmState;
  /** Whether the alert's reason holds now, also while the alarm is hidden. */
  readonly active: boolean;
  /** The reason was found to be none: a correction took the alert back. */
  readonly retracted: boolean;
  readonly priority: AlarmPriority;
  readonly cause: AlarmCause;
  /** RFC 3339, desk time: of this record, and when the state began. */
  readonly ts: string;
  readonly since: string;
  readonly shelvedUntil: string | null;
  readonly assignee: string | null;
  /** Its newest revision. Its own times are event time. */
  readonly alert: Alert;
  /** Newest last, at most 50. Older lines are in older records. */
  readonly trail: readonly AlarmStep[];
}

/** One record of the stream `alarms`, on `alarms.0.metrics`: how well the alarm system serves its operators (ISA-18.2, table 7). */
export interface AlarmMetrics {
  readonly schema: "millrace.alarm-metrics/1";
  /** RFC 3339, desk time; the period the numbers are about ends here. */
  readonly ts: string;
  readonly periodHours: number;
  readonly operators: number;
  /** Alarms shown to operators in the period. */
  readonly alarms: number;
  /** Per operator. */
  readonly alarmsPerHour: number;
  readonly alarmsPer10Min: number;
  readonly most10Min: number;
  /** Shares of the period, 0 to 1: ten-minute spans with more than 10 alarms an operator, hours with more than 30, time in flood. */
  readonly busy10Min01: number;
  readonly busyHours01: number;
  readonly flood01: number;
  /** A flood is on. */
  readonly inFlood: boolean;
  /** Alarms shown or returned three times or more within a minute, and alarms that went by themselves within a minute. */
  readonly chattering: readonly string[];
  readonly fleeting: readonly string[];
  /** Active for more than a day. */
  readonly stale: readonly string[];
  /** Share of all alarms that came from the ten most frequent. */
  readonly top10Share01: number;
  readonly top10: readonly { readonly fingerprint: string; readonly title: string; readonly alarms: number }[];
  /** Shares of the alarms, 0 to 1. Events are no alarms and do not count. */
  readonly priorities01: { readonly medium: number; readonly high: number };
  /** Alarms hidden now, by how. */
  readonly hidden: { readonly shelved: number; readonly suppressed: number; readonly outOfService: number };
  /** Now waiting for somebody to take note. */
  readonly unacknowledged: number;
  /** Suppressions without a reason given. */
  readonly unauthorisedSuppressions: number;
}
