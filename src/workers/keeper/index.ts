export { type KeeperOptions, type KeeperSpace, runKeeper, streamLimits } from "./keeper.js";
export { type Limit, limitsOf, type StreamLimits } from "./limits.js";
export { forgetReader, listReaders, type Reader, registerReader } from "./readers.js";
