export { whileHeld } from "./ownership.js";
export { Task, type TaskOptions, type TaskStatus } from "./task.js";
export { type Difference, verifyTask } from "./verify.js";
