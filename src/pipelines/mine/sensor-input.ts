import {
  DAY_MS,
  decodeReadings,
  decodeToken,
  HOUR_MS,
  type LogMessage,
  MINUTE_MS,
  type Origin,
  type Reading,
  type ReadingTopic,
  SECOND_MS,
  UNKNOWN_TOKEN,
} from "../../core/index.js";
import { type KeyedStream, type Source, type Stream, source, type Witness } from "../../operators/index.js";

/** Devices store and forward for a few days. */
const REMEMBERED_MS = 7 * DAY_MS;

/** A valid reading and where it lies. */
export interface Arrival {
  readonly eventId: string;
  readonly reading: Reading;
  readonly door: string;
  readonly origin: Origin;
}

/**
 * Raw bodies of readings: one, an array or NDJSON. Radio links delay them by seconds; a device that is quiet for two minutes must not hold
 * everybody's windows open.
 */
export const telemetrySource: Source<Arrival> = source<Arrival>({
  stream: "telemetry",
  decode(message, found) {
    const { data, sequence } = message;
    const door = message.header("Millrace-Door") ?? "";
    const items = decodeReadings(data, topicOf(message));
    for (const [index, item] of items.entries()) {
      if (!item.ok) {
        found.malformed(item.reason, 0, data.length, { id: item.id, bytes: item.bytes });
        continue;
      }
      const origin = { stream: "telemetry", sequence, index };
      found.event({ eventId: item.id, reading: item.reading, door, origin }, 0, data.length);
    }
  },
  time: ({ reading }) => reading.tsMs,
  source: ({ reading }) => reading.source,
  id: ({ eventId }) => eventId,
  // Many devices count their messages from 1.
  unique: {
    ttlMs: REMEMBERED_MS,
    by: ({ eventId, reading: { site, equipment } }) => `${site}/${equipment}/${eventId}`,
  },
  timing: { disorderMs: 30 * SECOND_MS, idleAfterMs: 2 * MINUTE_MS, maxAheadMs: HOUR_MS },
});

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

/** One value of one reading. */
export interface SensorValue extends Witness {
  readonly site: string;
  readonly equipment: string;
  readonly group: string;
  readonly name: string;
}

/** A sensor is one value name of one group of one equipment. */
export function perSensor(arrivals: Stream<Arrival>): KeyedStream<string, SensorValue> {
  return arrivals.flatMap(valuesOf).keyBy(sensorOf, { local: true });
}

function valuesOf({ eventId, reading, origin }: Arrival, emit: (value: SensorValue) => void): void {
  const { site, equipment, group, tsMs: timeMs, values } = reading;
  for (const name of Object.keys(values)) {
    emit({ value: values[name] as number, timeMs, eventId, origin, site, equipment, group, name });
  }
}

function sensorOf({ site, equipment, group, name }: SensorValue): string {
  return JSON.stringify([site, equipment, group, name]);
}
