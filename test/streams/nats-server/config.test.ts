import t from "tap";
import { configText, type ServerConfig } from "../../../src/streams/nats-server/config.js";

const CONFIG: ServerConfig = {
  syncAlways: false,
  serverName: "millrace-1",
  storeDir: "/data/nats",
  port: undefined,
  mqttPort: 1883,
  maxPayloadBytes: 8 << 20,
  maxFileBytes: undefined,
  password: "all",
  mqttPassword: "devices",
};

t.test("the configuration is what the options say", async (t) => {
  const text = configText(CONFIG);
  t.match(text, `mqtt { listen: "127.0.0.1:1883", ack_wait: "5s" }`);
  t.match(text, "max_payload: 8388608");
  t.match(configText({ ...CONFIG, maxFileBytes: 1e12 }), 'store_dir: "/data/nats", max_file: 1000000000000 }');
  t.match(text, 'listen: "127.0.0.1:-1"', "any free port");
  t.match(configText({ ...CONFIG, port: 4222 }), 'listen: "127.0.0.1:4222"');
  t.match(text, 'jetstream { store_dir: "/data/nats" }');
  t.match(configText({ ...CONFIG, mqttPort: 0 }), 'mqtt { listen: "127.0.0.1:-1",', "0 is any free port");
  t.notMatch(configText({ ...CONFIG, mqttPort: undefined }), "mqtt {");
  t.match(configText({ ...CONFIG, syncAlways: true }), 'sync_interval: "always"');
});

t.test("values cannot break out of their quotes", async (t) => {
  t.match(configText({ ...CONFIG, mqttPassword: 'a"b\\c' }), 'password: "a\\"b\\\\c"');
  for (const mqttPassword of ["two\nlines", "$2a$10$looksLikeBcrypt"])
    t.throws(() => configText({ ...CONFIG, mqttPassword }), { code: "MR_OPTION_INVALID" });
});
