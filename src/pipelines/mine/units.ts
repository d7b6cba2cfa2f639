/** The unit a value name ends with, as people write it, with a space in front where one belongs; empty when the name has none. */
export function unitOf(name: string): string {
  const found = SUFFIXES.find(([suffix]) => name.length > suffix.length && name.endsWith(suffix));
  return found?.[1] ?? "";
}

/** Longest first: `Kmh` ends in `h` too. */
const SUFFIXES: readonly (readonly [string, string])[] = [
  ["Mms", " mm/s"],
  ["Kmh", " km/h"],
  ["Lph", " L/h"],
  ["Pct", " %"],
  ["Rpm", " rpm"],
  ["Bar", " bar"],
  ["Kpa", " kPa"],
  ["Km", " km"],
  ["Kw", " kW"],
  ["Kg", " kg"],
  ["Hz", " Hz"],
  ["Ms", " ms"],
  ["C", " °C"],
  ["T", " t"],
  ["L", " L"],
  ["H", " h"],
  ["S", " s"],
  ["M", " m"],
  ["A", " A"],
  ["V", " V"],
  ["G", " g"],
];
