/** Malformed telemetry. Every kind breaks exactly one clause of the rule in samples/README.md. */
import { isPrivate } from "./files.mjs";
import { integer } from "./random.mjs";

const SECOND_MS = 1_000;
const YEAR_2100_MS = 4_102_444_800_000;

const text = (reading) => ({ payload: JSON.stringify(reading) });
const withoutEntries = (reading) => ({ ...reading, values: undefined, labels: undefined });

// Bytes that are not UTF-8: 0xff and 0xfe never occur in it.
function garbageBytes(random) {
  const bytes = Buffer.from(Array.from({ length: 24 + integer(random, 40) }, () => integer(random, 256)));
  bytes[0] = 0xff;
  bytes[7] = 0xfe;
  const payloadBase64 = bytes.toString("base64");
  return isPrivate(payloadBase64) ? { payloadBase64 } : garbageBytes(random); // chance may look like a commit hash
}

const KINDS = [
  (reading, random) => ({ payload: text(reading).payload.slice(0, -2 - integer(random, 40)) }), // torn off
  (_reading, random) => garbageBytes(random),
  (reading) => text({ ...reading, ts: undefined }),
  (reading) => text({ ...reading, ts: Math.floor(reading.ts / SECOND_MS) }), // seconds for ms: January 1970
  (reading, random) => text({ ...reading, ts: YEAR_2100_MS + integer(random, 1e9) }),
  (reading) => text({ ...reading, ts: reading.ts + 0.5 }),
  (reading) => text({ ...reading, ts: new Date(reading.ts).toUTCString() }), // a date, but not RFC 3339
  (reading) => text({ ...withoutEntries(reading), values: { value: "12.7" } }),
  (reading) => ({
    payload: text({ ...withoutEntries(reading), values: { value: 0 } }).payload.replace(":0}", ":NaN}"),
  }),
  (reading) => ({
    payload: text({ ...withoutEntries(reading), values: { value: 0 } }).payload.replace(":0}", ":1e999}"),
  }),
  (reading) => text({ ...withoutEntries(reading), values: { value: null } }),
  (reading) => text(withoutEntries(reading)),
  (reading) => text({ ...reading, site: "elsewhere" }), // not the topic's site
  (reading) => text({ ...reading, equipment: 17 }),
  (reading) => text({ ...reading, labels: { status: "x".repeat(257) } }),
  (reading) => text({ ...reading, labels: { status: 3 } }),
  (reading) => text({ ...reading, values: Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`v${i}`, i])) }),
  (reading) => text({ ...reading, id: "x".repeat(129 + Number(reading.id.split("-").pop())) }), // length keeps it unique
  (reading) => ({ payload: `ERR 0x15 ${reading.equipment} ${reading.id}` }),
  (reading) => ({ payload: JSON.stringify(`${reading.equipment} ${reading.id}`) }), // JSON, but no object
];

/**
 * A `garble` for plant(). Kinds take turns, so each occurs when there are at least as many as kinds.
 * @param idPrefix ids are `<prefix>-<n>` and no good reading has them, so nothing malformed is also a repeat
 */
export function garbleReading(idPrefix) {
  return (random, line, n) => {
    const { payload, ...envelope } = line;
    const reading = { ...JSON.parse(payload), id: `${idPrefix}-${n + 1}` };
    return { ...envelope, ...KINDS[n % KINDS.length](reading, random) };
  };
}
