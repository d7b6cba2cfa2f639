import { MillraceError, type Registers } from "../../core/index.js";
import type { Sample } from "./manifest.js";

/** Milliseconds added to every time of a source, by the source's name. */
export type Offsets = Readonly<Record<string, number>>;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/**
 * The offsets of a sample: those of the first start if there was one, else chosen now and kept. With `now` the last record of every
 * source falls on this moment, to the second: times in GitHub bodies have no fractions, and shifting must not add any.
 */
export async function keptOffsets(
  registers: Registers,
  { sample, source, rebase, nowMs }: { sample: Sample; source: string; rebase: "now" | "none"; nowMs: number },
): Promise<Offsets> {
  const key = `replay/${source}/${sample.id}`;
  const kept = await registers.get(key);
  if (kept !== undefined) return JSON.parse(decoder.decode(kept.value)) as Offsets;
  const chosen = sample.sources.map(({ name, lastMs }) => [
    name,
    rebase === "now" ? Math.floor((nowMs - lastMs) / 1_000) * 1_000 : 0,
  ]);
  const offsets = Object.fromEntries(chosen) as Offsets;
  if ((await registers.set(key, encoder.encode(JSON.stringify(offsets)), 0)) !== undefined) return offsets;
  const others = await registers.get(key); // somebody was faster
  if (others === undefined) throw new MillraceError("MR_LOG_UNAVAILABLE", `register ${key} was written and is gone`);
  return JSON.parse(decoder.decode(others.value)) as Offsets;
}

/**
 * Shifts `"ts":` followed by 13 digits. Works on the text, so that repeats stay equal to what they repeat and what is malformed stays so.
 */
export function shiftReading(payload: string, offsetMs: number): string {
  if (offsetMs === 0) return payload;
  return payload.replace(
    /("ts":)(\d{13})(?!\d)/g,
    (_, name: string, ts: string) => name + String(Number(ts) + offsetMs),
  );
}

/** Shifts every text `YYYY-MM-DDTHH:MM:SSZ`. Nothing else in a body is a time. */
export function shiftDelivery(body: string, offsetMs: number): string {
  if (offsetMs === 0) return body;
  return body.replace(/"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)Z"/g, (text, time: string) => {
    const ms = Date.parse(`${time}Z`) + offsetMs;
    return Number.isNaN(ms) ? text : `"${new Date(ms).toISOString().slice(0, 19)}Z"`;
  });
}
