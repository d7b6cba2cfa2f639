const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 64;
const HEIGHT = 10;

/** A small bar: the usual range, and where the value lies. Undefined when there is no range. The numbers stand beside it. */
export function gauge(
  value: number | null,
  expected: { readonly low: number; readonly high: number } | null,
): SVGElement | undefined {
  if (value === null || expected === null || ![value, expected.low, expected.high].every(Number.isFinite))
    return undefined;
  const { low, high } = expected;
  const min = Math.min(value, low);
  const room = Math.max(value, high) - min || 1;
  const at = (one: number) => 5 + ((one - min) / room) * (WIDTH - 10);
  const y = HEIGHT / 2;
  const svg = shape("svg", {
    class: "gauge",
    viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
    width: WIDTH,
    height: HEIGHT,
    "aria-hidden": "true",
  });
  svg.append(
    shape("path", { class: "gauge-track", d: `M1 ${y}H${WIDTH - 1}` }),
    shape("path", { class: "gauge-usual", d: `M${at(low)} ${y}H${Math.max(at(high), at(low) + 1)}` }),
    shape("path", { class: "gauge-value", d: `M${at(value)} ${y - 4}l4 4-4 4-4-4Z` }),
  );
  return svg;
}

/** An SVG element with attributes. */
export function shape(name: string, attributes: Readonly<Record<string, string | number>>): SVGElement {
  const element = document.createElementNS(SVG, name) as SVGElement;
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
  return element;
}
