export { runClock } from "./clock.js";
