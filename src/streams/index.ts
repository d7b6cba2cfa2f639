export type { LogOptions } from "./connection.js";
export { type Connection, connectLog } from "./jetstream.js";
export { type Endpoint, readEndpoint } from "./nats-server/endpoint.js";
export { type ObtainOptions, obtainNatsServer } from "./nats-server/obtain.js";
export { type NatsServer, type NatsServerOptions, startNatsServer } from "./nats-server/start.js";
export type { FoundServer } from "./nats-server/step.js";
export { type StreamName, streamSpecs } from "./specs.js";
