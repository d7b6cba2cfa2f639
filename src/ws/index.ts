export type { QueryAnswer, Readiness } from "./api.js";
export { createGateway, type Gateway, type GatewayOptions } from "./gateway.js";
export type { ForeignMetric } from "./metrics.js";
export type * from "./protocol.js";
