import {
  type Decoded,
  encodePack,
  fieldReader,
  num,
  PACK_SCHEMA,
  packSchema,
  schemaId,
  str,
} from "../../src/core/index.js";
import { type Decoder, jsonFields, jsonLines, packed } from "../../src/operators/engine/index.js";
import { median, type Result, report } from "../support/report.js";

/**
 * node scripts/bench.mjs raw/pack [--json]: the same 500 readings a message as NDJSON and as a binary pack: bytes an event, events a
 * second to write, and to read by the field scanner, by JSON.parse and from the pack. Runs are interleaved.
 */
const EVENTS = 500;
const ROUNDS = 15;
const REPEATS = 100;
const FIELDS = {
  equipment: "text",
  ts: "int",
  fuelLph: "float",
  speedKmh: "float",
  payloadT: "int",
  loaded: "bool",
} as const;
const schema = packSchema({ name: "reading", version: 1, fields: FIELDS });
const events = Array.from({ length: EVENTS }, (_, i) => ({
  equipment: `truck-${i % 40}`,
  ts: Date.UTC(2026, 0, 1) + i * 25,
  fuelLph: 80 + ((i * 7_919) % 1_000) / 10,
  speedKmh: ((i * 104_729) % 600) / 10,
  payloadT: (i * 31) % 300,
  loaded: i % 2 === 0,
}));
const reader = fieldReader({ equipment: str, ts: num, fuelLph: num, speedKmh: num, payloadT: num });
type Reading = Decoded<{ equipment: typeof str; ts: typeof num }>;

const ndjson = Buffer.from(events.map((event) => JSON.stringify(event)).join("\n"));
const pack = encodePack(schema, events);
let seen = 0;
const found = {
  event: (value: unknown) => {
    seen += (value as Reading).ts > 0 ? 1 : 0;
  },
  malformed: (reason: string) => {
    throw new Error(reason);
  },
};
const reading = (decode: Decoder<never>, data: Uint8Array) => {
  const header = (name: string) => (name === PACK_SCHEMA ? schemaId(schema) : undefined);
  const message = { sequence: 1, subject: "telemetry.0.pack", data, header };
  return () => decode(message, found);
};
const WORK: Readonly<Record<string, () => unknown>> = {
  "write NDJSON": () => Buffer.from(events.map((event) => JSON.stringify(event)).join("\n")),
  "write a pack": () => encodePack(schema, events),
  "read NDJSON, five fields": reading(jsonFields(reader) as Decoder<never>, ndjson),
  "read NDJSON, JSON.parse": reading(jsonLines((value) => value) as Decoder<never>, ndjson),
  "read a pack": reading(packed({ schema }) as Decoder<never>, pack),
};
const perS = new Map<string, number[]>(Object.keys(WORK).map((name) => [name, []]));
for (let round = -3; round < ROUNDS; round++) {
  for (const [name, work] of Object.entries(WORK)) {
    const before = process.cpuUsage();
    for (let i = 0; i < REPEATS; i++) work();
    const { user, system } = process.cpuUsage(before);
    if (round >= 0) perS.get(name)?.push((EVENTS * REPEATS * 1e6) / (user + system));
  }
}
if (seen === 0) throw new Error("nothing was read");
const shown = { limit: null, better: "higher" } as const;
const results: Result[] = [...perS].map(([name, values]) => ({
  ...{ name, metric: "events a processor second", value: median(values), unit: "events/s" },
  ...shown,
}));
for (const [name, { length }] of Object.entries({ NDJSON: ndjson, "a pack": pack }))
  results.push({ name, metric: "size", value: length / EVENTS, unit: "bytes/event", limit: null, better: "lower" });
report("pack", results);
