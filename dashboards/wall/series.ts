import { clock, measure, number, withUnit } from "./format.js";
import type { Alert, ChartDomain } from "./wire.js";

export interface Point {
  readonly startMs: number;
  readonly endMs: number;
  readonly value: number;
}

export interface Mark extends Point {
  readonly low: number | undefined;
  readonly high: number | undefined;
  readonly detector: string;
  readonly score: number;
  readonly threshold: number;
  /** Stands at the mark instead of the value. */
  readonly label?: string;
}

/** One measure of one key over time, with what detectors called out. */
export interface Series {
  readonly key: string;
  /** What is measured, for people. */
  readonly name: string;
  /** Empty for counts and ratios. */
  readonly unit: string;
  /** In time order. */
  readonly points: readonly Point[];
  readonly marks: readonly Mark[];
  /** The mark the chart is about; undefined when the series has none. */
  readonly focus: Mark | undefined;
}

/** Windows a chart shows. */
const WINDOWS = 240;

/** What a chart is about: an alert's key, or the domain alone while nothing is unusual. */
export type Subject = { readonly domain: ChartDomain; readonly alert: Alert | undefined };

/** Anomalies of the key, newest first; the first row also names the feature. */
export function marksSql({ domain, alert }: Subject): string | undefined {
  if (alert === undefined) return undefined;
  return `SELECT feature, toUnixTimestamp64Milli(window_start), toUnixTimestamp64Milli(window_end), value, expected_low, expected_high,
detector, score, threshold FROM anomalies WHERE domain = ${text(domain)} AND key = ${text(alert.key)} AND pipeline = ${text(alert.pipeline)}
ORDER BY ts DESC LIMIT 100`;
}

/** The key with the most windows, while there is no alert to show. */
export function busiestSql(domain: ChartDomain): string {
  return `SELECT feature, key FROM features WHERE domain = ${text(domain)} AND notEmpty(values) GROUP BY feature, key
ORDER BY countIf(notEmpty(scores)) DESC, count() DESC, key LIMIT 1`;
}

/** The newest windows of a key, or of everything on a site when the key is one. */
export function pointsSql(domain: ChartDomain, feature: string, key: string): string {
  return `SELECT toUnixTimestamp64Milli(window_start), toUnixTimestamp64Milli(window_end), values FROM features
WHERE domain = ${text(domain)} AND feature = ${text(feature)} AND (key = ${text(key)} OR site = ${text(key)}) ORDER BY window_start DESC LIMIT ${WINDOWS}`;
}

/** A text as an SQL literal: keys come from outside. */
export function text(value: string): string {
  return `'${value.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
}

type Row = readonly unknown[];

export function readMarks(rows: readonly Row[]): { readonly feature: string; readonly mark: Mark }[] {
  return rows.map((row) => ({
    feature: String(row[0]),
    mark: {
      startMs: Number(row[1]),
      endMs: Number(row[2]),
      value: Number(row[3]),
      low: maybe(row[4]),
      high: maybe(row[5]),
      detector: String(row[6]),
      score: Number(row[7]),
      threshold: Number(row[8]),
    },
  }));
}

const maybe = (value: unknown) => (value === null || value === undefined ? undefined : Number(value));

interface Window extends Omit<Point, "value"> {
  readonly values: Readonly<Record<string, unknown>>;
}

/**
 * Puts a chart together from the answers. The measure is the one the alert names in its labels, else the one whose value the anomaly
 * has, else the first by name. Marks of other measures are left out, the one the alert is about stays. A feature without
 * values is a kind of event: its chart counts them.
 */
export function buildSeries(
  subject: Subject,
  feature: string,
  key: string,
  pointRows: readonly Row[],
  found: readonly { readonly feature: string; readonly mark: Mark }[],
): Series {
  const windows = pointRows
    .map(
      (row): Window => ({ startMs: Number(row[0]), endMs: Number(row[1]), values: (row[2] ?? {}) as Window["values"] }),
    )
    .sort((a, b) => a.startMs - b.startMs || a.endMs - b.endMs);
  const marks = found.filter((one) => one.feature === feature).map(({ mark }) => mark);
  const focus = focusOf(subject.alert, marks);
  const measured = measureOf(subject.alert, focus, windows);
  if (measured === undefined) return countSeries(feature, key, windows, focus);
  const plain = windows.flatMap(({ startMs, endMs, values }) => {
    const value = values[measured];
    return typeof value === "number" && Number.isFinite(value) ? [{ startMs, endMs, value }] : [];
  });
  const { name, unit, factor } = unitOf(measured, plain, focus);
  const points = plain.map((point) => ({ ...point, value: point.value * factor }));
  const isShown = (mark: Mark) => points.some((point) => sameWindow(point, mark) && close(point.value, mark.value));
  return { key, name, unit, points, marks: marks.filter((mark) => mark === focus || isShown(mark)), focus };
}

/** Hours in the table, minutes in the alert: the chart speaks as the alert does. */
function unitOf(measured: string, points: readonly Point[], focus: Mark | undefined) {
  const { name, unit } = measure(measured);
  const own = focus === undefined ? undefined : points.find((point) => sameWindow(point, focus));
  const inMinutes = unit === "h" && own !== undefined && focus !== undefined && close(own.value * 60, focus.value);
  return inMinutes ? { name, unit: "min", factor: 60 } : { name, unit, factor: 1 };
}

const COUNT_MS = 30 * 60_000;

function countSeries(feature: string, key: string, events: readonly Window[], focus: Mark | undefined): Series {
  const name = `${feature.slice(feature.lastIndexOf(".") + 1).replaceAll("-", " ")}s per 30 min`;
  const first = events[0];
  const last = events.at(-1);
  if (first === undefined || last === undefined)
    return { key, name, unit: "", points: [], marks: [], focus: undefined };
  const startMs = Math.floor(first.startMs / COUNT_MS) * COUNT_MS;
  const endMs = Math.max(last.startMs, focus?.endMs ?? 0);
  const counts = new Array<number>(Math.floor((endMs - startMs) / COUNT_MS) + 1).fill(0);
  for (const event of events) {
    const i = Math.floor((event.startMs - startMs) / COUNT_MS);
    counts[i] = (counts[i] ?? 0) + 1;
  }
  const points = counts.map((value, i) => ({
    startMs: startMs + i * COUNT_MS,
    endMs: startMs + (i + 1) * COUNT_MS,
    value,
  }));
  // The anomaly's value is how long nothing came; on this axis that is none.
  const mark =
    focus === undefined
      ? undefined
      : {
          ...focus,
          value: 0,
          low: undefined,
          high: undefined,
          label: `none since ${clock(focus.startMs).slice(0, 5)}`,
        };
  return { key, name, unit: "", points, marks: mark === undefined ? [] : [mark], focus: mark };
}

/** The anomaly in the alert's window with its value; else the newest at or before its end. */
function focusOf(alert: Alert | undefined, marks: readonly Mark[]): Mark | undefined {
  if (alert === undefined) return marks[0];
  const endMs = Date.parse(alert.window.end);
  const { value } = alert;
  return (
    marks.find((mark) => mark.endMs === endMs && (value === null || close(mark.value, value))) ??
    marks.find((mark) => value !== null && close(mark.value, value)) ??
    marks.find((mark) => mark.endMs <= endMs) ??
    marks[0]
  );
}

/** Labels that name a span instead of a measure. */
const SPANS: Readonly<Record<string, string>> = {
  "approval to merge": "approvalHoursP50",
  "opening to merge": "cycleHoursP50",
};

/** Measures that say most where nothing else decides. */
const PREFERRED = ["mean", "residualRatio", "waitMeanH", "travelFullH", "merged", "opened", "value"];

/** Undefined when no window has a value. */
function measureOf(alert: Alert | undefined, focus: Mark | undefined, windows: readonly Window[]): string | undefined {
  const names = [...new Set(windows.flatMap(({ values }) => Object.keys(values)))].sort();
  const label = alert?.labels["measure"] ?? "";
  const named = names.find((name) => name === label || name === SPANS[label]);
  if (named !== undefined) return named;
  const own = focus === undefined ? undefined : windows.find((window) => sameWindow(window, focus));
  const same = names.find((name) => {
    const value = own?.values[name];
    return typeof value === "number" && focus !== undefined && close(value, focus.value);
  });
  return same ?? PREFERRED.find((name) => names.includes(name)) ?? names[0];
}

const sameWindow = (a: { startMs: number; endMs: number }, b: { startMs: number; endMs: number }) =>
  a.startMs === b.startMs && a.endMs === b.endMs;

const close = (a: number, b: number) => Math.abs(a - b) <= 1e-6 * Math.max(1, Math.abs(a), Math.abs(b));

/** "usually 3 – 12 t", "before 4 h" for a change of level; undefined when the detector says nothing about it. */
export function expectedText(low: number | undefined, high: number | undefined, unit: string): string | undefined {
  if (low === undefined && high === undefined) return undefined;
  if (low === high) return `before ${withUnit(low ?? 0, unit)}`;
  if (low === undefined) return `usually at most ${withUnit(high ?? 0, unit)}`;
  if (high === undefined) return `usually at least ${withUnit(low, unit)}`;
  return `usually ${number(low)} – ${withUnit(high, unit)}`;
}

/** Runs of points without a hole: a line must not be drawn across windows nobody measured. */
export function runs(points: readonly Point[]): readonly (readonly Point[])[] {
  const steps = points.slice(1).map((point, i) => point.startMs - (points[i]?.startMs ?? 0));
  const usual = [...steps].sort((a, b) => a - b)[Math.floor(steps.length / 2)] ?? 0;
  const parts: Point[][] = [];
  points.forEach((point, i) => {
    const last = parts.at(-1);
    if (last === undefined || (steps[i - 1] ?? 0) > 3 * usual) parts.push([point]);
    else last.push(point);
  });
  return parts;
}
