/** A door in a process of its own, to be killed: `node mqtt-door-process.js <nats url> <mqtt url>`. Says "ready" when subscribed. */
import { createLogger } from "../../../src/core/index.js";
import { connectLog, mqttDoor } from "../../../src/streams/index.js";

const [natsUrl = "", mqttUrl = ""] = process.argv.slice(2);
const { log } = await connectLog({ url: natsUrl, name: "door" });
const door = mqttDoor({ log, logger: createLogger("silent"), url: mqttUrl });
await door.subscribed;
process.stdout.write("ready\n");
