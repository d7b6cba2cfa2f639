import type { PlanRequest, Route } from "../../../src/core/index.js";

/** Two shovels, a crusher and a waste dump; north is dear for the crusher, south is cheap. All measured in one hour. */
const ROUTES: readonly Route[] = [
  { shovel: "north", dump: "crusher", cycleMin: 40, litres: 220, payloadT: 300, trips: 6 },
  { shovel: "north", dump: "waste", cycleMin: 24, litres: 120, payloadT: 290, trips: 4 },
  { shovel: "south", dump: "crusher", cycleMin: 25, litres: 140, payloadT: 300, trips: 6 },
  { shovel: "south", dump: "waste", cycleMin: 32, litres: 180, payloadT: 290, trips: 4 },
];

export function planRequest(change: Partial<PlanRequest> = {}): PlanRequest {
  return {
    kind: "plan-request",
    site: "minez",
    ts: "2026-06-01T12:00:00.000Z",
    reason: "first measured hour",
    trigger: { kind: "start", key: "minez" },
    horizonMin: 60,
    trucks: 14,
    targetT: 5_920,
    shovels: [
      { shovel: "north", loadMin: 3, available: true },
      { shovel: "south", loadMin: 3, available: true },
    ],
    dumps: [
      { dump: "crusher", dumpMin: 1 },
      { dump: "waste", dumpMin: 1 },
    ],
    routes: ROUTES,
    ...change,
  };
}

/** `planRequest` with one shovel gone silent. */
export function withoutShovel(shovel: string, change: Partial<PlanRequest> = {}): PlanRequest {
  const request = planRequest(change);
  return {
    ...request,
    shovels: request.shovels.map((one) => ({ ...one, available: one.shovel !== shovel && one.available })),
  };
}
