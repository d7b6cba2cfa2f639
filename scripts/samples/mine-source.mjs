/** The four Mine Z tables as their files have them, dirt included. */
import { readCsvGz } from "./files.mjs";

// The source has local times without a zone; the mine kept UTC-3 in that week.
const UTC_OFFSET = "-03:00";

/** Local "YYYY-MM-DD HH:MM:SS" to UTC ms. */
export const utcMs = (local) => Date.parse(`${local.replace(" ", "T")}${UTC_OFFSET}`);

/** @param folder the shared data's `telemetry` folder */
export function readMine(folder) {
  const cycles = readCsvGz(`${folder}/minez-haul-cycles.csv.gz`);
  return {
    // Stable: rows assigned in the same second keep the source's order.
    cycles: cycles.sort((a, b) => utcMs(a.assign_load_ts) - utcMs(b.assign_load_ts)),
    refuels: readCsvGz(`${folder}/minez-refuels.csv.gz`),
    locations: readCsvGz(`${folder}/minez-locations.csv.gz`),
    segments: readCsvGz(`${folder}/minez-road-segments.csv.gz`),
  };
}
