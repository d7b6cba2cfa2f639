export { CHANNELS } from "./channels.js";
export { models } from "./models.js";

import type { Pipeline } from "../core/index.js";
import { site } from "./mine/site.js";
import { telemetry } from "./mine/telemetry.js";
import { activity } from "./parallel-org/activity.js";

/** Every pipeline in this build. */
export const pipelines: readonly Pipeline[] = [activity, telemetry, site];
