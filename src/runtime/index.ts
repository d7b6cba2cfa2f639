export { systemClock } from "./clock.js";
export { Task, type TaskOptions, type TaskStatus } from "./task.js";
export { type Difference, verifyTask } from "./verify.js";
