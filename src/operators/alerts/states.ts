import type { AlarmState } from "../../core/index.js";

/** What can happen to an alarm, as the table knows it. */
export type AlarmEvent =
  /** The reason holds: an operator must take note. */
  | "raise"
  /** The reason holds, and nobody has to take note (an event). */
  | "inform"
  | "clear"
  | "retract"
  | "ack"
  | "unack"
  | "reset"
  /** Hidden by an operator for a while; `unshelve` ends it, by hand or by time. */
  | "shelve"
  | "unshelve"
  /** Hidden by design, or taken out of service; `restore` ends either. */
  | "suppress"
  | "remove"
  | "restore"
  /** Acknowledged, and still there after the agreed time. */
  | "re-alarm";

/** What the next state may depend on beside the state and the event. */
export interface AlarmFacts {
  /** The reason holds, this event already counted. */
  readonly active: boolean;
  /** What went must be reset by hand. */
  readonly latching: boolean;
  /** Nobody has to take note of it. */
  readonly informs: boolean;
}

/** A state; or what the facts decide; undefined: not possible here. */
type Next = AlarmState | "by reason" | "by latch" | undefined;

const HIDDEN = {
  ack: undefined,
  unack: undefined,
  reset: undefined,
  "re-alarm": undefined,
} as const;

/**
 * The life of an alarm (ISA-18.2, IEC 62682; the drawing is in docs/alerts.md): state × event → state.
 *
 * `by reason`: unacknowledged or, for what only informs, acknowledged while the reason holds, else normal: what was hidden comes back as it
 * is now. `by latch`: latched where the alarm latches, else normal.
 */
export const ALARM_TABLE: Readonly<Record<AlarmState, Readonly<Record<AlarmEvent, Next>>>> = {
  normal: {
    ...{ raise: "unacknowledged", inform: "acknowledged", clear: "normal", retract: "normal" },
    ...{ ack: undefined, unack: undefined, reset: undefined, "re-alarm": undefined },
    ...{ shelve: "shelved", unshelve: undefined, suppress: "suppressed", remove: "out-of-service", restore: undefined },
  },
  unacknowledged: {
    ...{ raise: "unacknowledged", inform: "unacknowledged", clear: "returned-unacknowledged", retract: "normal" },
    ...{ ack: "acknowledged", unack: undefined, reset: undefined, "re-alarm": undefined },
    ...{ shelve: "shelved", unshelve: undefined, suppress: "suppressed", remove: "out-of-service", restore: undefined },
  },
  acknowledged: {
    ...{ raise: "acknowledged", inform: "acknowledged", clear: "by latch", retract: "normal" },
    ...{ ack: undefined, unack: "unacknowledged", reset: undefined, "re-alarm": "unacknowledged" },
    ...{ shelve: "shelved", unshelve: undefined, suppress: "suppressed", remove: "out-of-service", restore: undefined },
  },
  "returned-unacknowledged": {
    ...{ raise: "unacknowledged", inform: "unacknowledged", clear: "returned-unacknowledged", retract: "normal" },
    ...{ ack: "by latch", unack: undefined, reset: undefined, "re-alarm": undefined },
    ...{ shelve: "shelved", unshelve: undefined, suppress: "suppressed", remove: "out-of-service", restore: undefined },
  },
  latched: {
    ...{ raise: "unacknowledged", inform: "acknowledged", clear: "latched", retract: "normal" },
    ...{ ack: undefined, unack: undefined, reset: "normal", "re-alarm": undefined },
    ...{ shelve: "shelved", unshelve: undefined, suppress: "suppressed", remove: "out-of-service", restore: undefined },
  },
  shelved: {
    ...{ raise: "shelved", inform: "shelved", clear: "shelved", retract: "shelved", ...HIDDEN },
    ...{
      shelve: "shelved",
      unshelve: "by reason",
      suppress: "suppressed",
      remove: "out-of-service",
      restore: undefined,
    },
  },
  suppressed: {
    ...{ raise: "suppressed", inform: "suppressed", clear: "suppressed", retract: "suppressed", ...HIDDEN },
    ...{ shelve: undefined, unshelve: undefined, suppress: undefined, remove: "out-of-service", restore: "by reason" },
  },
  "out-of-service": {
    ...{ raise: "out-of-service", inform: "out-of-service", clear: "out-of-service", retract: "out-of-service" },
    ...{ ...HIDDEN, shelve: undefined, unshelve: undefined, suppress: undefined, remove: undefined },
    restore: "by reason",
  },
};

/** Undefined: the event is not possible in this state and changes nothing. Pure, O(1). */
export function nextAlarmState(state: AlarmState, event: AlarmEvent, facts: AlarmFacts): AlarmState | undefined {
  const next = ALARM_TABLE[state][event];
  if (next === "by latch") return facts.latching ? "latched" : "normal";
  if (next !== "by reason") return next;
  if (!facts.active) return "normal";
  return facts.informs ? "acknowledged" : "unacknowledged";
}

const SHOWN: ReadonlySet<AlarmState> = new Set(["unacknowledged", "acknowledged"]);
const CONCEALED: ReadonlySet<AlarmState> = new Set(["shelved", "suppressed", "out-of-service"]);

/** Operators are told of it, and its reason holds. */
export function isShown(state: AlarmState): boolean {
  return SHOWN.has(state);
}

/** Kept from operators; it is still judged and written down. */
export function isHidden(state: AlarmState): boolean {
  return CONCEALED.has(state);
}
