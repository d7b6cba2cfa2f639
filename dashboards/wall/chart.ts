import { clock, date, dateTime, number, withUnit } from "./format.js";
import { linear, niceRange, type Scale, timeTicks } from "./scale.js";
import { expectedText, type Mark, type Point, runs, type Series } from "./series.js";

export interface Size {
  readonly width: number;
  readonly height: number;
}

/** Colours of the page, read from its style sheet once. */
export interface Palette {
  readonly line: string;
  readonly fill: string;
  readonly band: string;
  readonly bandEdge: string;
  readonly grid: string;
  readonly text: string;
  readonly strong: string;
  readonly alarm: string;
  readonly warn: string;
  readonly panel: string;
}

export interface Layout {
  readonly x: Scale;
  readonly y: Scale;
  readonly xTicks: readonly { readonly at: number; readonly label: string }[];
  readonly yTicks: readonly { readonly at: number; readonly label: string }[];
  readonly plot: { readonly left: number; readonly right: number; readonly top: number; readonly bottom: number };
}

const PAD = { left: 50, right: 14, top: 12, bottom: 20 } as const;
const FONT = "11px system-ui, sans-serif";
const STRONG_FONT = "600 12px system-ui, sans-serif";

/** Where everything goes: all points, marks and what the focused mark expected are inside. Pure. */
export function layout(series: Series, { width, height }: Size, nowMs: number): Layout {
  const plot = { left: PAD.left, right: width - PAD.right, top: PAD.top, bottom: height - PAD.bottom };
  const all: readonly Point[] = [...series.points, ...series.marks];
  const times = all.map(middle);
  const edges = [series.focus?.low, series.focus?.high].filter((edge) => edge !== undefined);
  const values = [...all.map(({ value }) => value), ...edges];
  const range = niceRange(
    Math.min(...values),
    Math.max(...values),
    Math.max(2, Math.floor((plot.bottom - plot.top) / 38)),
  );
  const y = linear(range.min, range.max, plot.bottom, plot.top);
  const start = Math.min(...times);
  const end = Math.max(...times);
  const x = linear(start, end, plot.left + 4, plot.right - 4);
  const { ticks, daily } = timeTicks(start, end, Math.floor((plot.right - plot.left) / 84));
  const timeLabel = (ms: number) =>
    daily ? date(ms, nowMs) : ms % 86_400_000 === 0 ? date(ms, nowMs) : clock(ms).slice(0, 5);
  return {
    x,
    y,
    plot,
    xTicks: ticks.map((ms) => ({ at: x.at(ms), label: timeLabel(ms) })),
    yTicks: range.ticks.map((value) => ({ at: y.at(value), label: axisNumber(value) })),
  };
}

const middle = ({ startMs, endMs }: Point) => (startMs + endMs) / 2;

/** Short enough for the axis: 12000 is "12 k". */
function axisNumber(value: number): string {
  const size = Math.abs(value);
  if (size >= 1e6) return `${number(value / 1e6)} M`;
  if (size >= 1e4) return `${number(value / 1e3)} k`;
  return number(value);
}

/** The point nearest to a place on the screen, within 24 px. */
export function nearest(series: Series, { x }: Layout, px: number): Point | undefined {
  let best: Point | undefined;
  for (const point of series.points) {
    if (best === undefined || Math.abs(x.at(middle(point)) - px) < Math.abs(x.at(middle(best)) - px)) best = point;
  }
  return best !== undefined && Math.abs(x.at(middle(best)) - px) <= 24 ? best : undefined;
}

/** What a chart says in one sentence, for those who do not see it. */
export function describe(series: Series, nowMs: number): string {
  const { name, unit } = series;
  const last = series.points.at(-1);
  const newest =
    last === undefined ? "" : ` Newest value ${withUnit(last.value, unit)}, ${dateTime(last.endMs, nowMs)} UTC.`;
  const { focus } = series;
  if (focus === undefined)
    return `${name} of ${series.key}: ${series.points.length} windows, nothing unusual.${newest}`;
  const usual = expectedText(focus.low, focus.high, unit);
  const found = `Unusual: ${withUnit(focus.value, unit)} in the window ending ${dateTime(focus.endMs, nowMs)} UTC`;
  return `${name} of ${series.key}. ${found}${usual === undefined ? "" : `, ${usual}`}.${newest}`;
}

/** Draws everything; the context is scaled to CSS pixels. */
export function draw(
  context: CanvasRenderingContext2D,
  series: Series,
  place: Layout,
  colours: Palette,
  hovered: Point | undefined,
): void {
  drawGrid(context, place, colours);
  if (series.focus !== undefined) drawBand(context, series.focus, place, colours);
  drawLine(context, series.points, place, colours);
  if (series.focus !== undefined) writeBand(context, series.focus, series.unit, place, colours);
  for (const mark of series.marks)
    if (mark !== series.focus) diamond(context, place, mark, 4, colours.panel, colours.warn);
  if (series.focus !== undefined) drawFocus(context, series.focus, series.unit, place, colours);
  if (hovered !== undefined) drawHover(context, hovered, series.unit, place, colours);
}

function drawGrid(context: CanvasRenderingContext2D, { xTicks, yTicks, plot }: Layout, colours: Palette): void {
  context.font = FONT;
  context.lineWidth = 1;
  context.strokeStyle = colours.grid;
  context.fillStyle = colours.text;
  context.textBaseline = "middle";
  context.textAlign = "right";
  for (const { at, label } of yTicks) {
    const y = Math.round(at) + 0.5;
    strokeLine(context, plot.left, y, plot.right, y);
    context.fillText(label, plot.left - 8, y);
  }
  context.textBaseline = "alphabetic";
  context.textAlign = "center";
  for (const { at, label } of xTicks) {
    strokeLine(context, at, plot.bottom, at, plot.bottom + 4);
    const half = context.measureText(label).width / 2;
    context.fillText(label, Math.min(Math.max(at, plot.left - 30 + half), plot.right + 10 - half), plot.bottom + 16);
  }
}

/** What the detector expected when it called the focused window out. */
function drawBand(context: CanvasRenderingContext2D, { low, high }: Mark, { y, plot }: Layout, colours: Palette): void {
  if (low === undefined && high === undefined) return;
  const top = Math.max(plot.top, high === undefined ? plot.top : y.at(high));
  const bottom = Math.min(plot.bottom, low === undefined ? plot.bottom : y.at(low));
  context.fillStyle = colours.band;
  context.fillRect(plot.left, top, plot.right - plot.left, Math.max(1, bottom - top));
  context.strokeStyle = colours.bandEdge;
  context.setLineDash([3, 4]);
  if (high !== undefined) strokeLine(context, plot.left, top, plot.right, top);
  if (low !== undefined) strokeLine(context, plot.left, bottom, plot.right, bottom);
  context.setLineDash([]);
}

/** The band in words, readable also where the line crosses it. */
function writeBand(context: CanvasRenderingContext2D, mark: Mark, unit: string, place: Layout, colours: Palette): void {
  const { y, plot } = place;
  const text = expectedText(mark.low, mark.high, unit);
  if (text === undefined) return;
  const top = Math.max(plot.top, mark.high === undefined ? plot.top : y.at(mark.high));
  const bottom = Math.min(plot.bottom, mark.low === undefined ? plot.bottom : y.at(mark.low));
  const at = top - 5 > plot.top + 8 ? top - 5 : bottom + 13;
  context.font = FONT;
  context.textAlign = "left";
  context.textBaseline = "alphabetic";
  context.lineWidth = 4;
  context.strokeStyle = colours.panel;
  context.strokeText(text, plot.left + 4, at);
  context.fillStyle = colours.strong;
  context.fillText(text, plot.left + 4, at);
}

function drawLine(
  context: CanvasRenderingContext2D,
  points: readonly Point[],
  { x, y, plot }: Layout,
  colours: Palette,
): void {
  const sparse = points.length < (plot.right - plot.left) / 14;
  for (const run of runs(points)) {
    const first = run[0];
    const last = run.at(-1);
    if (first === undefined || last === undefined) continue;
    const path = new Path2D();
    for (const point of run) path.lineTo(x.at(middle(point)), y.at(point.value));
    const area = new Path2D(path);
    area.lineTo(x.at(middle(last)), plot.bottom);
    area.lineTo(x.at(middle(first)), plot.bottom);
    const fade = context.createLinearGradient(0, plot.top, 0, plot.bottom);
    fade.addColorStop(0, colours.fill);
    fade.addColorStop(1, "transparent");
    context.fillStyle = fade;
    context.fill(area);
    context.strokeStyle = colours.line;
    context.lineWidth = 1.6;
    context.lineJoin = "round";
    context.stroke(path);
    if (!sparse && run.length > 1) continue;
    context.fillStyle = colours.line;
    for (const point of run) dot(context, x.at(middle(point)), y.at(point.value), 2.2);
  }
}

function drawFocus(context: CanvasRenderingContext2D, mark: Mark, unit: string, place: Layout, colours: Palette): void {
  const { x, y, plot } = place;
  const at = x.at(middle(mark));
  context.fillStyle = colours.band;
  const from = Math.max(plot.left, x.at(mark.startMs));
  context.fillRect(from, plot.top, Math.min(plot.right, x.at(mark.endMs)) - from, plot.bottom - plot.top);
  context.strokeStyle = colours.alarm;
  context.lineWidth = 1;
  context.setLineDash([2, 3]);
  strokeLine(context, at, plot.top, at, plot.bottom);
  context.setLineDash([]);
  diamond(context, place, mark, 6.5, colours.alarm, colours.strong);
  label(context, mark.label ?? withUnit(mark.value, unit), at, y.at(mark.value), plot, colours.alarm, colours);
}

function drawHover(
  context: CanvasRenderingContext2D,
  point: Point,
  unit: string,
  { x, y, plot }: Layout,
  colours: Palette,
): void {
  const at = x.at(middle(point));
  context.strokeStyle = colours.text;
  context.lineWidth = 1;
  strokeLine(context, at, plot.top, at, plot.bottom);
  context.fillStyle = colours.strong;
  dot(context, at, y.at(point.value), 3.5);
  const when = `${date(point.startMs, point.startMs)} ${clock(point.startMs).slice(0, 5)}`;
  label(context, `${withUnit(point.value, unit)}  ·  ${when}`, at, y.at(point.value), plot, colours.text, colours);
}

/** A small box beside a place, kept inside the plot. */
function label(
  context: CanvasRenderingContext2D,
  text: string,
  atX: number,
  atY: number,
  plot: Layout["plot"],
  border: string,
  colours: Palette,
): void {
  context.font = STRONG_FONT;
  const width = context.measureText(text).width + 14;
  const right = atX + 12 + width <= plot.right;
  const left = right ? atX + 12 : Math.max(plot.left, atX - 12 - width);
  const top = Math.min(Math.max(atY - 11, plot.top - 8), plot.bottom - 24);
  context.fillStyle = colours.panel;
  context.strokeStyle = border;
  context.lineWidth = 1;
  context.beginPath();
  context.roundRect(left, top, width, 22, 4);
  context.fill();
  context.stroke();
  context.fillStyle = colours.strong;
  context.textAlign = "left";
  context.textBaseline = "middle";
  context.fillText(text, left + 7, top + 11.5);
}

function diamond(
  context: CanvasRenderingContext2D,
  { x, y }: Layout,
  mark: Mark,
  r: number,
  fill: string,
  stroke: string,
): void {
  const atX = x.at(middle(mark));
  const atY = y.at(mark.value);
  context.beginPath();
  context.moveTo(atX, atY - r);
  context.lineTo(atX + r, atY);
  context.lineTo(atX, atY + r);
  context.lineTo(atX - r, atY);
  context.closePath();
  context.fillStyle = fill;
  context.fill();
  context.strokeStyle = stroke;
  context.lineWidth = 1.5;
  context.stroke();
}

function dot(context: CanvasRenderingContext2D, x: number, y: number, r: number): void {
  context.beginPath();
  context.arc(x, y, r, 0, 2 * Math.PI);
  context.fill();
}

function strokeLine(context: CanvasRenderingContext2D, x1: number, y1: number, x2: number, y2: number): void {
  context.beginPath();
  context.moveTo(x1, y1);
  context.lineTo(x2, y2);
  context.stroke();
}
