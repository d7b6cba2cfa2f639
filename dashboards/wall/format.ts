/** Numbers, times and names for people. Every time is UTC, and says so where it is shown. */

const THIN = "\u202f";
const whole = new Intl.NumberFormat("en-GB", { maximumFractionDigits: 0 });
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** 12037 -> "12,037". */
export function count(value: number): string {
  return whole.format(value);
}

/** Three significant digits, thousands grouped: 0.0123, 4.57, 218, 16,204. */
export function number(value: number): string {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size >= 1_000) return whole.format(value);
  if (size !== 0 && size < 0.001) return value.toExponential(1);
  return String(Number(value.toPrecision(3)));
}

/** 0.0634 -> "6.3 %". The sign is a real minus. */
export function percent(ratio01: number): string {
  const value = Math.abs(ratio01 * 100);
  const digits = value >= 10 || value === 0 ? 0 : 1;
  return `${ratio01 < 0 && Number(value.toFixed(digits)) !== 0 ? "−" : ""}${value.toFixed(digits)}${THIN}%`;
}

/** How long ago: "now", "12 s", "3 min", "2 h", "4 d". Negative counts as now. */
export function age(ms: number): string {
  if (ms < 1_500) return "now";
  if (ms < 90_000) return `${Math.round(ms / 1_000)} s`;
  if (ms < 90 * 60_000) return `${Math.round(ms / 60_000)} min`;
  if (ms < 36 * 3_600_000) return `${Math.round(ms / 3_600_000)} h`;
  return `${Math.round(ms / 86_400_000)} d`;
}

const two = (value: number) => String(value).padStart(2, "0");

/** "14:03:22". */
export function clock(ms: number): string {
  const time = new Date(ms);
  return `${two(time.getUTCHours())}:${two(time.getUTCMinutes())}:${two(time.getUTCSeconds())}`;
}

/** "7 Nov 14:03"; with the year when it is not the year of `nowMs`. */
export function dateTime(ms: number, nowMs: number): string {
  const time = new Date(ms);
  return `${date(ms, nowMs)} ${two(time.getUTCHours())}:${two(time.getUTCMinutes())}`;
}

/** "7 Nov", or "7 Nov 2022" when that is not the year of `nowMs`. */
export function date(ms: number, nowMs: number): string {
  const time = new Date(ms);
  const year = time.getUTCFullYear();
  const day = `${time.getUTCDate()} ${MONTHS[time.getUTCMonth()]}`;
  return year === new Date(nowMs).getUTCFullYear() ? day : `${day} ${year}`;
}

/** Start to end, the date once when it is the same day: "7 Nov 14:00 – 15:00". */
export function span(startMs: number, endMs: number, nowMs: number): string {
  const sameDay = Math.floor(startMs / 86_400_000) === Math.floor(endMs / 86_400_000);
  const end = sameDay ? clock(endMs).slice(0, 5) : dateTime(endMs, nowMs);
  return `${dateTime(startMs, nowMs)} – ${end}`;
}

/** Suffixes of names in the log (STYLE.md: the unit ends the name), longest first. */
const UNITS = [
  ["Lph", "L/h"],
  ["Kmh", "km/h"],
  ["Mms", "mm/s"],
  ["LPerT", "L/t"],
  ["Ratio01", ""],
  ["01", ""],
  ["Hours", "h"],
  ["Min", "min"],
  ["Pct", "%"],
  ["Km", "km"],
  ["Ms", "ms"],
  ["Rpm", "rpm"],
  ["Bar", "bar"],
  ["Kpa", "kPa"],
  ["L", "L"],
  ["T", "t"],
  ["H", "h"],
  ["S", "s"],
  ["M", "m"],
] as const;

/** Measures whose names say too little by themselves. */
const NAMES: Readonly<Record<string, string>> = {
  opened: "pull requests opened",
  merged: "pull requests merged",
  actors: "people active",
  approvalHoursP50: "approval to merge, median",
  cycleHoursP50: "opening to merge, median",
  waitMeanH: "time at shovel and dump",
  travelEmptyMeanH: "empty travel",
  travelFullMeanH: "loaded travel",
  payloadMeanT: "payload",
  residualRatio: "fuel beyond the model, ratio",
  mean: "hourly mean",
  std: "hourly spread",
  min: "hourly minimum",
  max: "hourly maximum",
};

/** A name of the log for people: "speedFullKmh" -> {name: "speed full", unit: "km/h"}, "payloadT" -> {"payload", "t"}. */
export function measure(name: string): { readonly name: string; readonly unit: string } {
  const [base = name, quantile] = name.split(/(?=P\d+$)/);
  const found = UNITS.find(([suffix]) => base.endsWith(suffix) && base.length > suffix.length);
  const stem = found === undefined ? base : base.slice(0, -found[0].length);
  const words = stem
    .replace(/([a-z0-9])([A-Z])/g, "$1 $2")
    .replace(/[-_.]+/g, " ")
    .toLowerCase();
  const which = quantile === undefined ? "" : quantile === "P50" ? " median" : ` ${quantile}`;
  return { name: NAMES[name] ?? `${words}${which}`, unit: found?.[1] ?? "" };
}

/** What a key is about, without what the panel says already: "minez/truck-07" -> "truck-07", a sensor by its equipment. */
export function keyText(domain: string, key: string): string {
  const parts = key.split("/");
  const [, equipment = key, , value] = parts;
  if (domain === "mine" && parts.length === 2) return equipment;
  if (domain === "sensor" && parts.length === 4) return value === "value" ? equipment : `${equipment} ${value}`;
  return key;
}

/** "4.57 L", or the bare number without a unit. */
export function withUnit(value: number, unit: string): string {
  return unit === "" ? number(value) : `${number(value)}${THIN}${unit}`;
}

/** Printable text of raw bytes: control characters and broken UTF-8 become a dot. */
export function printable(base64: string): string {
  let binary: string;
  try {
    binary = atob(base64);
  } catch {
    return "";
  }
  const bytes = Uint8Array.from(binary, (char) => char.charCodeAt(0));
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not reach the page
  return new TextDecoder().decode(bytes).replace(/[\u0000-\u001f\u007f-\u009f\ufffd\u202a-\u202e\u2066-\u2069]/g, "·");
}
