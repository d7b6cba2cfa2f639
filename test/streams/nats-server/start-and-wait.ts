// The parent of a server in start.test.ts: starts one, prints its process number and waits to be killed.
import { startNatsServer } from "../../../src/streams/nats-server/start.js";

const [bin = "", storeDir = ""] = process.argv.slice(2);
const { pid } = await startNatsServer({ bin, storeDir, mqttPort: undefined, mqttPassword: "x" });
console.log(pid);
