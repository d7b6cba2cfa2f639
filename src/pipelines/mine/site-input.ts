import { encodeToken, type Feature, type Inference, type LogMessage, type Origin } from "../../core/index.js";
import { type Source, source } from "../../operators/index.js";

const MODEL = "litres-per-cycle";
const PRODUCER = "mine.telemetry";
const PRODUCER_TOKEN = encodeToken(PRODUCER);
const LEG_LIMIT_H = 1; // a longer leg holds a stop: the model was trained with this limit

/** What `mine.site` reads of stage one's features, reduced to what it needs. JSON: it is held until its time has come. */
export type SiteEvent =
  | {
      readonly kind: "load";
      readonly site: string;
      readonly shovel: string;
      readonly truck: string;
      readonly origin: Origin;
    }
  | {
      readonly kind: "cycle";
      readonly site: string;
      readonly truck: string;
      readonly startMs: number;
      readonly shovel: string;
      readonly dump: string;
      readonly values: Readonly<Record<string, number>>;
      /** Predicted; null where the cycle lacks a number the model needs. */
      readonly litres: number | null;
    }
  | {
      readonly kind: "refuel";
      readonly site: string;
      readonly truck: string;
      readonly litres: number;
      readonly origin: Origin;
    };

export interface SiteRecord {
  readonly id: string;
  readonly timeMs: number;
  readonly key: string;
  /** Orders records of one time, from their content alone: loads, then cycles, then refuellings. */
  readonly order: string;
  readonly event: SiteEvent;
}

/** The records of one message. */
export type SiteInput = readonly SiteRecord[];

type Stored = Feature & { readonly id: string };

/** Loads, cycles and refuellings as the tasks of mine.telemetry say them; time has come as far as the marks of all of them. */
export const siteSource: Source<SiteRecord> = source<SiteRecord>({
  stream: "features",
  decode(message, found, ahead) {
    const { length } = message.data;
    for (const record of (ahead as SiteInput | undefined) ?? recordsOf(message)) found.event(record, 0, length);
  },
  time: ({ timeMs }) => timeMs,
  id: ({ id }) => id,
  producers: ({ partitions }) => Array.from({ length: partitions }, (_, p) => `${PRODUCER}/${p}`),
});

/**
 * Reads the features of a slice of messages and predicts the litres of all its cycles in one batch. Pure: what a message yields does
 * not depend on its neighbours, because the model's answer for a row does not.
 */
export async function readAhead(messages: readonly LogMessage[], inference: Inference): Promise<readonly SiteInput[]> {
  const inputs = messages.map(recordsOf);
  const rows = inputs.flat().flatMap(({ event }) => (event.kind === "cycle" ? [modelRow(event.values)] : []));
  const known = rows.filter((row) => row !== undefined);
  const litres = known.length === 0 ? [] : await inference.run(MODEL, Float32Array.from(known.flat()), WIDTH);
  let row = 0;
  let answer = 0;
  return inputs.map((records) =>
    records.map((record) => {
      if (record.event.kind !== "cycle" || rows[row++] === undefined) return record;
      // Hundredths of a litre: what survives another machine's rounding.
      return { ...record, event: { ...record.event, litres: Math.round((litres[answer++] as number) * 100) / 100 } };
    }),
  );
}

const WIDTH = 7;

/** Features in the model's order (models/litres-per-cycle.json); undefined when one was not measured. */
function modelRow(values: Readonly<Record<string, number>>): readonly number[] | undefined {
  const { efhEmptyKm, efhFullKm, payloadT, travelEmptyH = 0, travelFullH = 0, queueAndIdleH } = values;
  if (efhEmptyKm === undefined || efhFullKm === undefined || payloadT === undefined || queueAndIdleH === undefined) {
    return undefined;
  }
  const legs = [Math.min(travelEmptyH, LEG_LIMIT_H), Math.min(travelFullH, LEG_LIMIT_H)];
  return [efhEmptyKm, efhFullKm, payloadT, ...legs, queueAndIdleH, 1];
}

function recordsOf(message: LogMessage): SiteInput {
  const { subject, data, sequence } = message;
  if (subject.split(".")[2] !== PRODUCER_TOKEN) return []; // marks and other pipelines, this one's own writing too
  const lines = Buffer.from(data).toString("utf8").split("\n");
  return lines.flatMap((line, index) => {
    const stored = JSON.parse(line) as Stored; // our own writing: what is not JSON here is a damaged log
    const record = recordOf(stored, { stream: "features", sequence, index });
    return record === undefined ? [] : [record];
  });
}

function recordOf(stored: Stored, origin: Origin): SiteRecord | undefined {
  if (stored.kind !== "feature") return undefined;
  const { id, feature, site, key, startMs, endMs: timeMs, values, labels } = stored;
  const { shovel = "", dump = "", truck: by = "" } = labels;
  const truck = key.slice(site.length + 1);
  switch (feature) {
    case "mine.load":
      return { id, timeMs, key, order: `0 ${shovel} ${by}`, event: { kind: "load", site, shovel, truck: by, origin } };
    case "mine.cycle": {
      const event: SiteEvent = { kind: "cycle", site, truck, startMs, shovel, dump, values, litres: null };
      return { id, timeMs, key, order: `1 ${truck} ${startMs}`, event };
    }
    case "mine.refuel": {
      const { litres = 0 } = values;
      return { id, timeMs, key, order: `2 ${truck} ${litres}`, event: { kind: "refuel", site, truck, litres, origin } };
    }
    default:
      return undefined;
  }
}
