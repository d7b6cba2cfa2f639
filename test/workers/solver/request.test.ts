import t from "tap";
import { isMillraceError } from "../../../src/core/index.js";
import { readPlanRequest } from "../../../src/workers/solver/request.js";
import { planRequest } from "./requests.js";

const encode = (value: unknown) => new TextEncoder().encode(typeof value === "string" ? value : JSON.stringify(value));
const good = { id: "i/mine/0/7/0", ...planRequest() };

t.test("a request in the log is read as it is", async (t) => {
  t.same(readPlanRequest(encode(good)), good);
});

t.test("what could not be solved is refused with the field", async (t) => {
  const [route] = good.routes;
  const bad: readonly [string, unknown][] = [
    ["not JSON", "{"],
    ["kind", null],
    ["kind", { ...good, kind: "plan" }],
    ["id", { ...good, id: undefined }],
    ["site", { ...good, site: "" }],
    ["ts", { ...good, ts: "yesterday" }],
    ["horizonMin", { ...good, horizonMin: 0 }],
    ["trucks", { ...good, trucks: -1 }],
    ["targetT", { ...good, targetT: null }],
    ["shovels", { ...good, shovels: "north" }],
    ["shovels.available", { ...good, shovels: [{ shovel: "north", loadMin: 3 }] }],
    ["dumps", { ...good, dumps: [null] }],
    ["routes.shovel", { ...good, routes: [{ ...route, shovel: "west" }] }],
    ["routes.dump", { ...good, routes: [{ ...route, dump: "west" }] }],
    ["cycleMin", { ...good, routes: [{ ...route, cycleMin: 0 }] }],
    ["payloadT", { ...good, routes: [{ ...route, payloadT: "300" }] }],
    ["litres", { ...good, routes: [{ ...route, litres: -1 }] }],
  ];
  for (const [field, value] of bad) {
    try {
      readPlanRequest(encode(value));
      t.fail(`${field}: ${JSON.stringify(value)} was read`);
    } catch (error) {
      t.ok(isMillraceError(error, "MR_REQUEST_INVALID"), field);
      t.match((error as Error).message, field);
    }
  }
});
