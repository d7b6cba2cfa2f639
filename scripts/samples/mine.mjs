/** Mine Z (MIT): haul cycles and refuellings as the status events a truck would have sent. */

import { writeBytes, writeNdjsonGz } from "./files.mjs";
import { garbleReading } from "./garble-telemetry.mjs";
import { network, neutralCodes } from "./mine-network.mjs";
import { readMine, utcMs } from "./mine-source.mjs";
import { plant } from "./plant.mjs";

export const MINE_SITE = "minez";

/** Cuts `mine/events.ndjson.gz` and `mine/network.json`. */
export function cutMine(random, from, to) {
  const source = readMine(`${from}/telemetry`);
  const codes = neutralCodes(source);
  const events = [...cycleEvents(source, codes), ...refuelEvents(source, codes)].sort((a, b) => a.at - b.at);
  const planted = plant(random, events, garbleReading("mz-x"));
  const file = writeNdjsonGz(to, "mine/events.ndjson.gz", planted.lines);
  const roads = writeBytes(to, "mine/network.json", Buffer.from(`${network(source, codes)}\n`));
  return { ...planted, files: [file], aside: [roads] };
}

// Rows in order of assignment: where one cycle ends in the second the next begins, "dumped" stays before "assigned-load".
function cycleEvents({ cycles }, { trucks, shovels, locations }) {
  return cycles.flatMap((row, n) => {
    const equipment = trucks.get(row.truck);
    const load = { shovel: shovels.get(row.shovel), load: locations.get(row.load_loc) };
    const dump = { ...load, dump: locations.get(row.dump_loc), dumpType: DUMP_TYPES[row.dump_type] };
    const from = locations.get(row.prev_dump_loc);
    const done = {
      payloadT: Number(row.payload_meter_load_t), // the raw scale, with its zeros and 16-bit wraps
      efhEmptyM: Number(row.efh_empty_m),
      efhFullM: Number(row.efh_full_m),
      distEmptyM: Number(row.dist_empty_m),
      distFullM: Number(row.dist_full_m),
    };
    const steps = [
      [row.assign_load_ts, { status: "assigned-load", ...load, from }],
      [row.arrive_load_ts, { status: "arrived-load", ...load }],
      [row.full_ts, { status: "loaded", ...load }],
      [row.assign_dump_ts, { status: "assigned-dump", ...dump }],
      [row.arrive_dump_ts, { status: "arrived-dump", ...dump }],
      [row.empty_ts, { status: "dumped", ...dump }, done],
    ];
    return steps.map(([local, labels, values], step) =>
      message(equipment, "status", { id: `mz-${n + 1}-${step + 1}`, ts: utcMs(local), values, labels }),
    );
  });
}

function refuelEvents({ refuels }, { trucks }) {
  return refuels.map((row, n) =>
    message(trucks.get(row.truck), "refuel", {
      id: `mz-f-${n + 1}`,
      ts: utcMs(row.fuel_end_ts || row.fuel_start_ts),
      values: { litres: Number(row.fuel00_l), durationS: Number(row.duration_s) },
    }),
  );
}

const DUMP_TYPES = { Botadero: "waste", Chancador: "crusher", Stock: "stockpile" };

function message(equipment, group, { id, ts, values, labels }) {
  const reading = { id, site: MINE_SITE, equipment, group, ts, values, labels, source: "sample" };
  return { at: ts, topic: `millrace/v1/${MINE_SITE}/${equipment}/${group}`, payload: JSON.stringify(reading) };
}
