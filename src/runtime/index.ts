export { type Backtest, type BacktestOptions, backtest } from "./backtest.js";
export { whileHeld } from "./ownership.js";
export { Pace } from "./pace.js";
export { type Border, type Pointer, readPointer, resetPointer, type Snapshot, writePointer } from "./pointer.js";
export {
  type DerivedStream,
  type RepartitionOptions,
  repartition,
  repartitionUnderWay,
} from "./repartition.js";
export { type SharingOptions, shareNames, shareOf } from "./sharing.js";
export { Task, type TaskOptions, type TaskStatus } from "./task.js";
export { type Difference, verifyTask } from "./verify.js";
