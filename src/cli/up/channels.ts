export { CHANNELS } from "../../pipelines/channels.js";
