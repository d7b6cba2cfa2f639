import {
  type AcceptedReading,
  decodeReadings,
  decodeToken,
  type Emit,
  encodeToken,
  HOUR_MS,
  type LogMessage,
  MINUTE_MS,
  type Pipeline,
  type Program,
  partitionOf,
  type ReadingTopic,
  SECOND_MS,
  type TaskContext,
  UNKNOWN_TOKEN,
} from "../../core/index.js";
import { loadState, type Stateful, saveState } from "../../operators/index.js";
import { type Candidate, intake } from "../intake.js";
import { kindOf, tickOf } from "../subject.js";
import { alarmBranch } from "./alarm-branch.js";
import { autoBranch } from "./auto-branch.js";
import type { Branch } from "./branch.js";
import { sensorBranch } from "./sensor-branch.js";
import { truckBranch } from "./truck-branch.js";

const NAME = "mine.telemetry";
const VERSION = 2;

/** Radio links delay readings by seconds; a device that is quiet for two minutes must not hold everybody's windows open. */
const TIME = { disorderMs: 30 * SECOND_MS, idleAfterMs: 2 * MINUTE_MS, maxAheadMs: HOUR_MS };
/**
 * How often stage two learns of event time. Each mark is a message to every features partition from every task: at one a minute
 * marks would outnumber features six to one, and what stage two looks for takes an hour to show.
 */
const MARK_EVERY_MS = 5 * MINUTE_MS;

/** Equipment telemetry: haul trucks of mines, and any sensor that sends numbers. */
export const telemetry: Pipeline = {
  name: NAME,
  summary:
    "readings to haul cycles, refuellings and hourly sensor windows, what is unusual about them, and the time for mine.site",
  source: "telemetry",
  writes: ["accepted", "features", "alerts", "dead", "late"],
  version: VERSION,
  steps: [
    { name: "readings", kind: "source", detail: "telemetry.<p>: raw bodies and ticks" },
    { name: "decode", kind: "operator", detail: "one reading, an array or NDJSON" },
    { name: "seen", kind: "operator", detail: "duplicates by equipment and id, 7 days" },
    {
      name: "validate",
      kind: "operator",
      detail: "names, time (at most 1 h beyond its source), finite values",
      to: ["dead"],
    },
    { name: "accept", kind: "sink", detail: "every valid reading once", to: ["accepted"] },
    {
      name: "cycles",
      kind: "operator",
      detail: "group status: six steps of a truck to a haul cycle; group refuel",
      to: ["features"],
    },
    { name: "truckWindows", kind: "window", detail: "tumbling 2 h per truck", to: ["features", "late"] },
    { name: "truckScores", kind: "score", detail: "LOF of the window among the truck's last 84", to: ["features"] },
    { name: "truckAlerts", kind: "alert", detail: "truck-unusual, over after 6 quiet hours", to: ["alerts"] },
    {
      name: "sensorWindows",
      kind: "window",
      detail: "tumbling 1 h per equipment, group and value",
      to: ["features", "late"],
    },
    {
      name: "sensorScores",
      kind: "score",
      detail: "LOF of (mean, std, min, max) among the sensor's last 168 h; ADWIN on the mean",
      to: ["features"],
    },
    {
      name: "sensorAlerts",
      kind: "alert",
      detail: "sensor-unusual and sensor-level-changed, over after 6 quiet hours",
      to: ["alerts"],
    },
    {
      name: "readingScores",
      kind: "score",
      detail: "autoDetector on every value of a sensor that is not late",
      to: ["features"],
    },
    {
      name: "readingAlerts",
      kind: "alert",
      detail: "sensor-reading-unusual, over after 6 quiet hours",
      to: ["alerts"],
    },
    {
      name: "reportedAlarms",
      kind: "alert",
      detail: "label alarm of any reading: reported-alarm at once, over when cleared or after a quiet hour",
      to: ["alerts"],
    },
    {
      name: "marks",
      kind: "sink",
      detail: "event time of this task, every 5 min of it, to every features partition",
      to: ["features"],
    },
  ],
  create: (context) => createTelemetry(context),
};

function createTelemetry({ task, partition, partitions }: TaskContext): Program {
  const door = intake({ pipeline: NAME, domain: "telemetry", time: TIME, ahead: "refuse" });
  const trucks = truckBranch({ pipeline: NAME, domain: "mine", partition }, (site) =>
    partitionOf([encodeToken(site)], partitions),
  );
  const sensors = sensorBranch({ pipeline: NAME, domain: "sensor", partition });
  const alarms = alarmBranch({ pipeline: NAME, domain: "sensor", partition });
  const readings = autoBranch({ pipeline: NAME, domain: "sensor", partition });
  const branches: readonly Branch[] = [trucks, sensors, readings, alarms];
  const operators = Object.assign({}, door.operators, ...branches.map((branch) => branch.operators)) as Record<
    string,
    Stateful
  >;

  function events(message: LogMessage, emit: Emit): void {
    decodeReadings(message.data, topicOf(message)).forEach((item, index) => {
      const origin = { stream: "telemetry", sequence: message.sequence, index };
      const source = message.header("Millrace-Source") ?? "live";
      if (!item.ok) {
        const candidate: Candidate = {
          eventId: item.id,
          identity: item.id,
          source,
          tsMs: undefined,
          refusal: item.reason,
          index,
          bytes: item.bytes,
        };
        door.admit(candidate, message, emit);
        return;
      }
      const { id: eventId, reading } = item;
      const { site, equipment, tsMs } = reading;
      const identity = `${site}/${equipment}/${eventId}`; // many devices count their messages from 1
      if (!door.admit({ eventId, identity, source: reading.source, tsMs, refusal: undefined, index }, message, emit))
        return;
      const { kind, ...record }: AcceptedReading = {
        kind: "reading",
        eventId,
        ...reading,
        door: message.header("Millrace-Door") ?? "",
      };
      emit({ stream: "accepted", subject: `accepted.${partition}.telemetry`, record: { kind, ...record }, pack: true });
      alarms.take({ eventId, reading, origin }, emit);
      const branch = isTruckGroup(reading.group) ? trucks : sensors;
      const lateByMs = branch.take({ eventId, reading, origin }, emit);
      if (branch === sensors && lateByMs === undefined) readings.take({ eventId, reading, origin }, emit);
      if (lateByMs !== undefined) {
        door.late(
          { domain: branch === trucks ? "mine" : "sensor", key: `${site}/${equipment}`, eventId, tsMs, lateByMs },
          emit,
        );
      }
    });
  }

  function advance(beforeMs: number | undefined, nowMs: number, emit: Emit): void {
    for (const branch of branches) branch.advance(nowMs, emit);
    door.advance(nowMs);
    const markMs = Math.floor(nowMs / MARK_EVERY_MS) * MARK_EVERY_MS;
    if (beforeMs !== undefined && markMs <= beforeMs) return;
    for (let q = 0; q < partitions; q++) {
      emit({
        stream: "features",
        subject: `features.${q}._mark.${encodeToken(task)}`,
        record: { kind: "mark", task, watermarkMs: markMs },
      });
    }
  }

  return {
    apply(message, _ahead, emit) {
      const kind = kindOf(message);
      if (kind === "event") return events(message, emit);
      const tick = kind === "tick" ? tickOf(message) : undefined;
      const beforeMs = door.marks.watermarkMs();
      if (tick !== undefined && door.marks.tick(tick)) advance(beforeMs, door.marks.watermarkMs() as number, emit);
    },
    counters: door.counters,
    watermarkMs: door.marks.watermarkMs,
    save: () => saveState(NAME, VERSION, operators),
    load: (state) => loadState(state, NAME, VERSION, operators),
  };
}

/** The groups of the mine's trucks; every other group is a sensor. */
function isTruckGroup(group: string): boolean {
  return group === "status" || group === "refuel";
}

/** What the subject says about the readings; undefined for packs and where the door did not know. */
function topicOf({ subject }: LogMessage): ReadingTopic | undefined {
  const [, , ...tokens] = subject.split(".");
  if (tokens.length !== 3 || tokens.includes(UNKNOWN_TOKEN)) return undefined;
  try {
    const [site, equipment, group] = tokens.map(decodeToken) as [string, string, string];
    return { site, equipment, group };
  } catch {
    return undefined; // Not a subject of our doors: the readings must name themselves.
  }
}
