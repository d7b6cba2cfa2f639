export type { LogOptions } from "./connection.js";
export { type Connection, connectLog } from "./jetstream.js";
export { type StreamName, streamSpecs } from "./specs.js";
