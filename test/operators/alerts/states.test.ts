import t from "tap";
import type { AlarmState } from "../../../src/core/index.js";
import { ALARM_TABLE, type AlarmEvent, nextAlarmState } from "../../../src/operators/alerts/states.js";

const STATES: readonly AlarmState[] = [
  ...(["normal", "unacknowledged", "acknowledged", "returned-unacknowledged", "latched"] as const),
  ...(["shelved", "suppressed", "out-of-service"] as const),
];
const N = "normal";
const B = "unacknowledged";
const C = "acknowledged";
const D = "returned-unacknowledged";
const L = "latched";
const E = "shelved";
const F = "suppressed";
const G = "out-of-service";
const no = undefined;

/** By event: the state after it, for each of STATES. Written by hand from ISA-18.2's drawing (states A to G), without looking at the code. */
const EXPECTED: Readonly<Record<AlarmEvent, readonly (AlarmState | undefined)[]>> = {
  //           A   B   C   D   L   E   F   G
  raise: [B, B, C, B, B, E, F, G],
  inform: [C, B, C, B, C, E, F, G],
  clear: [N, D, N, D, L, E, F, G],
  retract: [N, N, N, N, N, E, F, G],
  ack: [no, C, no, N, no, no, no, no],
  unack: [no, no, B, no, no, no, no, no],
  reset: [no, no, no, no, N, no, no, no],
  shelve: [E, E, E, E, E, E, no, no],
  unshelve: [no, no, no, no, no, N, no, no],
  suppress: [F, F, F, F, F, F, no, no],
  remove: [G, G, G, G, G, G, G, no],
  restore: [no, no, no, no, no, no, N, N],
  "re-alarm": [no, no, B, no, no, no, no, no],
};
const EVENTS = Object.keys(EXPECTED) as AlarmEvent[];
const QUIET = { active: false, latching: false, informs: false };

t.test("every state × every event, without a reason that holds and without latching", async (t) => {
  t.same(Object.keys(ALARM_TABLE), STATES);
  for (const [i, state] of STATES.entries()) {
    t.same(Object.keys(ALARM_TABLE[state]).sort(), [...EVENTS].sort(), `${state} knows every event`);
    for (const event of EVENTS) t.equal(nextAlarmState(state, event, QUIET), EXPECTED[event][i], `${state} × ${event}`);
  }
});

t.test("what the facts decide, and nothing else", async (t) => {
  for (const state of STATES) {
    for (const event of EVENTS) {
      const ends = (event === "unshelve" && state === E) || (event === "restore" && (state === F || state === G));
      const active = nextAlarmState(state, event, { ...QUIET, active: true });
      t.equal(active, ends ? B : nextAlarmState(state, event, QUIET), `${state} × ${event}, reason holds`);
      const informs = nextAlarmState(state, event, { ...QUIET, active: true, informs: true });
      t.equal(informs, ends ? C : active, `${state} × ${event}, an event`);
      const latching = nextAlarmState(state, event, { ...QUIET, latching: true });
      const latches = (state === C && event === "clear") || (state === D && event === "ack");
      t.equal(latching, latches ? L : nextAlarmState(state, event, QUIET), `${state} × ${event}, latching`);
    }
  }
});
