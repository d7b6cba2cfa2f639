export { CHANNELS } from "./channels.js";
export { models } from "./models.js";
export { DETECTOR } from "./thresholds.js";

import type { Topology } from "../operators/index.js";
import { desk } from "./alarms/desk.js";
import { site } from "./mine/site.js";
import { telemetry } from "./mine/telemetry.js";
import { activity } from "./parallel-org/activity.js";
import { rules } from "./rules/rules.js";

/** Every pipeline in this build. */
export const pipelines: readonly Topology[] = [activity, telemetry, site, rules, desk];
