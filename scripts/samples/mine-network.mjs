/** Neutral codes for everything Mine Z names, and the road network in those codes. */

const KINDS = { Banco: "bench", Botadero: "dump", Stock: "stock", Chancador: "crusher", Nodo: "node" };
const KINDS_AUXILIARY = { "Cambio Turno": "shift-change", Taller: "workshop", Sector: "area", Mina: "area" };
const BENCH_NAME = /-(\d{4})-/; // region-elevation-number

/** Maps from the source's names: `{trucks, shovels, locations}`. Numbered in the order of the sorted names. */
export function neutralCodes({ cycles, locations }) {
  const used = (column) => [...new Set(cycles.map((row) => row[column]))].sort();
  const twoDigits = (kind) => (name, i) => [name, `${kind}-${String(i + 1).padStart(2, "0")}`];
  return {
    trucks: new Map(used("truck").map(twoDigits("truck"))),
    shovels: new Map(used("shovel").map(twoDigits("shovel"))),
    locations: locationCodes(locations, [...used("prev_dump_loc"), ...used("load_loc"), ...used("dump_loc")]),
  };
}

function locationCodes(locations, visited) {
  const typeOf = new Map(locations.map(({ name, unit_type }) => [name, unit_type]));
  // Two names in the cycles are missing from the location table.
  for (const name of visited) if (!typeOf.has(name)) typeOf.set(name, BENCH_NAME.test(name) ? "Banco" : "Botadero");
  const counts = new Map();
  const next = (prefix) => counts.set(prefix, (counts.get(prefix) ?? 0) + 1).get(prefix);
  return new Map(
    [...typeOf]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, type]) => {
        const kind = KINDS[type] ?? KINDS_AUXILIARY[type];
        const elevation = BENCH_NAME.exec(name)?.[1];
        if (kind !== "bench" || !elevation) return [name, `${kind}-${next(kind)}`];
        return [name, `bench-${elevation}-${String.fromCharCode(96 + next(elevation))}`];
      }),
  );
}

/** `network.json`: places, roads, and the nominal times a planner starts from before it has measured any. */
export function network({ cycles, locations, segments }, codes) {
  const codeOfId = new Map(locations.map((row) => [row.location_id, codes.locations.get(row.name)]));
  const rowOf = new Map(locations.map((row) => [row.name, row]));
  const places = [...codes.locations].map(([name, code]) => ({
    code,
    kind: code.replace(/(-\d+)?-[0-9a-z]+$/, ""),
    ...position(rowOf.get(name)),
  }));
  const roads = segments.map((row) => ({
    from: codeOfId.get(row.from_location_id),
    to: codeOfId.get(row.to_location_id),
    distanceM: Number(row.distance_m),
    emptyS: Number(row.time_empty_s),
    loadedS: Number(row.time_loaded_s),
    closed: row.closed === "1",
  }));
  const shovels = [...codes.shovels].map(([name, code]) => {
    const loads = cycles.filter(({ shovel }) => shovel === name);
    return {
      code,
      kind: SHOVEL_KINDS[name.slice(0, 3)] ?? "other",
      loadingSP50: median(loads.map((row) => Number(row.loading_s))),
      spotSP50: median(loads.map((row) => Number(row.spot_load_s))),
      cycles: loads.length,
    };
  });
  const document = {
    about: "Mine Z (MIT, LICENSE-minez.txt) in neutral codes; metres of the mine's own grid, seconds, tonnes, litres",
    truckClass: { code: "930E", payloadT: 290, tankL: 4200 }, // the source's thesis
    dumpingSP50: median(cycles.map((row) => Number(row.dumping_s))),
    trucks: [...codes.trucks.values()],
    shovels,
    places,
    roads,
  };
  // One place or road a line: small, and a diff can be read.
  const inner = (list) =>
    typeof list[0] === "string"
      ? JSON.stringify(list)
      : `[\n${list.map((item) => `    ${JSON.stringify(item)}`).join(",\n")}\n  ]`;
  const fields = Object.entries(document).map(
    ([name, value]) => `  "${name}": ${Array.isArray(value) ? inner(value) : JSON.stringify(value)}`,
  );
  return `{\n${fields.join(",\n")}\n}`;
}

const SHOVEL_KINDS = { PAB: "rope", PHK: "hydraulic", CFL: "loader" };

// Areas have the grid's origin or its corner in place of a position, and one height is 0.
function position(row) {
  if (!row || row.x_m === "0" || (row.x_m === "94600" && row.y_m === "94000")) return { xM: null, yM: null, zM: null };
  return { xM: Number(row.x_m), yM: Number(row.y_m), zM: Number(row.z_m) || null };
}

function median(numbers) {
  const sorted = numbers.sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)];
}
