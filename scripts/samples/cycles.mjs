/** Haul cycles and refuel intervals out of the mine's events, by the formulas the mine pipeline uses at run time. */

export const STEPS = ["assigned-load", "arrived-load", "loaded", "assigned-dump", "arrived-dump", "dumped"];
/** In the order of the model's input. */
export const FEATURES = ["efhEmptyKm", "efhFullKm", "payloadT", "travelEmptyH", "travelFullH", "queueAndIdleH", "one"];

/** A scale reading outside is no load: 0 (nothing weighed), 65519 (16-bit wrap). Real loads weigh 182 to 366 t. */
export const PAYLOAD_RANGE_T = [100, 400];
/** A leg that took longer holds a stop; a longer pause between cycles has the engine off. Chosen by train-litres.mjs. */
export const LIMITS_H = { travel: 1, pause: 2 };

const HOUR_MS = 3_600_000;

/**
 * Readings in log order, each id once, to cycles `{truck, endMs, efhEmptyKm, …}` and refuels `{truck, endMs, litres}`.
 * A cycle counts when its six steps come in order; `assigned-load` begins one anew, any other step out of turn spoils it.
 * @param payloadDefaultT stands in for a payload outside PAYLOAD_RANGE_T
 */
export function readWork(readings, payloadDefaultT) {
  const open = new Map();
  const lastDumpedMs = new Map();
  const work = { cycles: [], refuels: [], spoilt: 0 };
  for (const { equipment: truck, group, ts, values, labels } of readings) {
    if (group === "refuel") work.refuels.push({ truck, endMs: ts, litres: values.litres });
    if (group !== "status") continue;
    const step = STEPS.indexOf(labels.status);
    const times = open.get(truck);
    if (times && step !== times.length) work.spoilt += 1;
    if (step === 0) open.set(truck, [ts]);
    else if (times?.length !== step) open.delete(truck);
    else times.push(ts);
    if (times?.length !== STEPS.length) continue;
    open.delete(truck);
    const pauseMs = times[0] - (lastDumpedMs.get(truck) ?? times[0]);
    work.cycles.push({ truck, endMs: ts, ...features(times, pauseMs, values, payloadDefaultT) });
    lastDumpedMs.set(truck, ts);
  }
  return work;
}

function features(times, pauseMs, values, payloadDefaultT) {
  const [assignedLoadMs, arrivedLoadMs, , assignedDumpMs, arrivedDumpMs, dumpedMs] = times;
  const atShovelMs = assignedDumpMs - arrivedLoadMs;
  const atDumpMs = dumpedMs - arrivedDumpMs;
  const [lowT, highT] = PAYLOAD_RANGE_T;
  return {
    efhEmptyKm: values.efhEmptyM / 1_000,
    efhFullKm: values.efhFullM / 1_000,
    payloadT: values.payloadT >= lowT && values.payloadT <= highT ? values.payloadT : payloadDefaultT,
    travelEmptyH: Math.min((arrivedLoadMs - assignedLoadMs) / HOUR_MS, LIMITS_H.travel),
    travelFullH: Math.min((arrivedDumpMs - assignedDumpMs) / HOUR_MS, LIMITS_H.travel),
    queueAndIdleH: (atShovelMs + atDumpMs) / HOUR_MS + Math.min(pauseMs / HOUR_MS, LIMITS_H.pause),
    one: 1,
  };
}

/**
 * What each truck did between two refuellings, and the litres that then went in: `{endMs, litres, sums}`, sums over the
 * cycles dumped in between, in the order of FEATURES. Kept are 4 to 30 cycles, under 40 h, 1,500 to 5,000 L (the baselines' filter): others are a meter error or a missed refuelling.
 */
export function refuelIntervals({ cycles, refuels }) {
  const byTruck = groupByTruck(cycles);
  const lastMs = new Map();
  const intervals = [];
  for (const { truck, endMs, litres } of refuels) {
    const startMs = lastMs.get(truck);
    lastMs.set(truck, endMs);
    if (startMs === undefined) continue;
    const done = (byTruck.get(truck) ?? []).filter((cycle) => cycle.endMs > startMs && cycle.endMs <= endMs);
    const plausible = done.length >= 4 && done.length <= 30 && endMs - startMs < 40 * HOUR_MS;
    if (!plausible || litres < 1_500 || litres > 5_000) continue;
    const sums = FEATURES.map((name) => done.reduce((sum, cycle) => sum + cycle[name], 0));
    intervals.push({ endMs, litres, sums });
  }
  return intervals;
}

function groupByTruck(cycles) {
  const groups = new Map();
  for (const cycle of cycles) groups.set(cycle.truck, [...(groups.get(cycle.truck) ?? []), cycle]);
  return groups;
}
