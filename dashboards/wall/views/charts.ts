import { describe, draw, type Layout, layout, nearest, type Palette } from "../chart.js";
import { byId, el, icon, setText } from "../dom.js";
import { keyText } from "../format.js";
import type { Point, Series } from "../series.js";
import { CHART_DOMAINS, type WallState } from "../state.js";
import type { ChartDomain } from "../wire.js";
import { DOMAIN_NAMES } from "./alerts.js";
import { asOf } from "./header.js";

/** One chart a domain. `redraw` asks for another frame: the pointer moved, or the panel changed its size. */
export function createCharts(redraw: () => void): (state: WallState, nowMs: number) => void {
  const colours = palette();
  const views = CHART_DOMAINS.map((domain) => chartView(domain, colours, redraw));
  byId("charts").append(...views.map(({ element }) => element));
  return (state, nowMs) => {
    for (const { update } of views) update(state, nowMs);
  };
}

function chartView(domain: ChartDomain, colours: Palette, redraw: () => void) {
  const title = el("span", "chart-title");
  const meta = el("p", "meta");
  const legend = el("p", "legend");
  const canvas = el("canvas");
  canvas.setAttribute("role", "img");
  const empty = el("p", "empty");
  const box = el("div", "chart-box", canvas, empty);
  const head = el("div", "panel-head", el("h2", "", icon(domain), DOMAIN_NAMES[domain], title), meta);
  const element = el("section", "panel chart", head, box, legend);
  const surface = createSurface(canvas, box, redraw);
  let pointer: number | undefined;
  let drawn: { readonly series: Series; readonly size: string; readonly pointer: number | undefined } | undefined;

  canvas.addEventListener("pointermove", ({ offsetX }) => {
    pointer = offsetX;
    redraw();
  });
  canvas.addEventListener("pointerleave", () => {
    pointer = undefined;
    redraw();
  });

  const update = (state: WallState, nowMs: number) => {
    const { series, readAtMs } = state.charts[domain];
    const { width, height, key } = surface.size();
    const ready = series !== undefined && series.points.length > 0 && width > 0;
    empty.hidden = ready;
    canvas.hidden = !ready;
    setText(empty, readAtMs === 0 ? "Waiting for data" : "No window has ended yet");
    if (!ready) return;
    // Only what changed is drawn again: three idle charts cost nothing.
    if (drawn?.series === series && drawn.size === key && drawn.pointer === pointer) return;
    drawn = { series, size: key, pointer };
    const { name, unit } = series;
    setText(title, `${keyText(domain, series.key)} · ${name}`);
    title.title = series.key;
    setText(meta, asOf(unit, readAtMs));
    writeLegend(legend, series);
    canvas.setAttribute("aria-label", describe(series, nowMs));
    const place: Layout = layout(series, { width, height }, nowMs);
    const hovered: Point | undefined = pointer === undefined ? undefined : nearest(series, place, pointer);
    draw(surface.begin(), series, place, colours, hovered);
  };
  return { element, update };
}

function writeLegend(legend: HTMLElement, { focus, marks }: Series): void {
  if (focus === undefined) {
    legend.replaceChildren("Nothing unusual so far: the domain's busiest key");
    return;
  }
  const others = marks.length - 1;
  legend.replaceChildren(
    el("span", "legend-mark focus", "unusual"),
    ...(others > 0 ? [el("span", "legend-mark other", `${others} earlier`)] : []),
    ...(focus.low === undefined && focus.high === undefined ? [] : [el("span", "legend-mark band", "usual")]),
    `${focus.detector.toUpperCase()} score ${focus.score.toPrecision(3)}, threshold ${focus.threshold.toPrecision(3)}`,
  );
}

/** A canvas as large as its box, sharp on every screen. */
function createSurface(canvas: HTMLCanvasElement, box: HTMLElement, resized: () => void) {
  let width = 0;
  let height = 0;
  const context = canvas.getContext("2d");
  if (context === null) throw new Error("this browser draws no canvas");
  new ResizeObserver(([entry]) => {
    width = Math.floor(entry?.contentRect.width ?? 0);
    height = Math.floor(entry?.contentRect.height ?? 0);
    resized();
  }).observe(box);
  return {
    size: () => ({ width, height, key: `${width}x${height}@${devicePixelRatio}` }),
    /** Clears the canvas and returns its context, scaled to CSS pixels. */
    begin() {
      const ratio = devicePixelRatio;
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
      canvas.style.width = `${width}px`;
      canvas.style.height = `${height}px`;
      context.setTransform(ratio, 0, 0, ratio, 0, 0);
      return context;
    },
  };
}

function palette(): Palette {
  const style = getComputedStyle(document.documentElement);
  const colour = (name: string) => style.getPropertyValue(`--${name}`).trim();
  return {
    line: colour("line"),
    fill: colour("line-fill"),
    band: colour("band"),
    bandEdge: colour("band-edge"),
    grid: colour("grid"),
    text: colour("muted"),
    strong: colour("text"),
    alarm: colour("critical"),
    warn: colour("warning"),
    panel: colour("panel"),
  };
}
