import { MillraceError, type PlanRequest, parseTimeMs } from "../../core/index.js";

/** A plan request as it lies in the log: the runtime put its id in front. */
export type LoggedPlanRequest = PlanRequest & { readonly id: string };

const decoder = new TextDecoder("utf-8", { fatal: true });

/**
 * Reads and checks a request, so that what reaches the solver is finite: a NaN would come back as a plan.
 * Errors: MR_REQUEST_INVALID with the field that is wrong.
 */
export function readPlanRequest(data: Uint8Array): LoggedPlanRequest {
  const request = parse(data) as LoggedPlanRequest;
  check(request?.kind === "plan-request", "kind", request?.kind);
  for (const field of ["id", "site", "reason"] as const) {
    check(typeof request[field] === "string" && request[field] !== "", field, request[field]);
  }
  check(typeof request.ts === "string" && parseTimeMs(request.ts) !== undefined, "ts", request.ts);
  positive(request, "horizonMin");
  notNegative(request, ["trucks", "targetT"]);
  for (const shovel of list(request, "shovels")) {
    check(typeof shovel.available === "boolean", "shovels.available", shovel.available);
    notNegative(shovel, ["loadMin"]);
  }
  for (const dump of list(request, "dumps")) notNegative(dump, ["dumpMin"]);
  const shovels = new Set(request.shovels.map(({ shovel }) => shovel));
  const dumps = new Set(request.dumps.map(({ dump }) => dump));
  for (const route of list(request, "routes")) {
    check(shovels.has(route.shovel as string), "routes.shovel", route.shovel);
    check(dumps.has(route.dump as string), "routes.dump", route.dump);
    positive(route, "cycleMin");
    positive(route, "payloadT");
    notNegative(route, ["litres", "trips"]);
  }
  return request;
}

function parse(data: Uint8Array): unknown {
  try {
    return JSON.parse(decoder.decode(data));
  } catch (cause) {
    throw new MillraceError("MR_REQUEST_INVALID", `reading a plan request of ${data.length} bytes: not JSON`, {
      cause,
    });
  }
}

function check(ok: boolean, field: string, value: unknown): asserts ok {
  if (ok) return;
  throw new MillraceError("MR_REQUEST_INVALID", `reading a plan request: ${field} cannot be ${JSON.stringify(value)}`);
}

function list(request: PlanRequest, field: "shovels" | "dumps" | "routes"): readonly Record<string, unknown>[] {
  const items: unknown = request[field];
  const isList = Array.isArray(items) && items.every((item) => item !== null && typeof item === "object");
  check(isList, field, items);
  return items as readonly Record<string, unknown>[];
}

function positive(item: object, field: string): void {
  const value = (item as Record<string, unknown>)[field];
  check(typeof value === "number" && Number.isFinite(value) && value > 0, field, value);
}

function notNegative(item: object, fields: readonly string[]): void {
  for (const field of fields) {
    const value = (item as Record<string, unknown>)[field];
    check(typeof value === "number" && Number.isFinite(value) && value >= 0, field, value);
  }
}
