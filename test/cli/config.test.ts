import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { loadConfig } from "../../src/cli/config.js";

function folder(yaml: string): string {
  const path = mkdtempSync(join(tmpdir(), "millrace-config-"));
  writeFileSync(join(path, "millrace.yaml"), yaml);
  return path;
}

t.test("defaults", async (t) => {
  const config = loadConfig({}, {}, "/nonexistent");
  t.match(config, {
    port: 8080,
    mqttPort: 1883,
    speed: 1,
    replay: true,
    rebase: "now",
    partitions: 4,
    host: "127.0.0.1",
  });
  t.ok(Object.isFrozen(config));
});

t.test("one precedence: flag, environment, file, default", async (t) => {
  const cwd = folder("port: 1\nmqttPort: 2\npartitions: 3\n");
  const config = loadConfig({ port: "9" }, { MILLRACE_PORT: "8", MILLRACE_MQTT_PORT: "7" }, cwd);
  t.match(config, { port: 9, mqttPort: 7, partitions: 3, speed: 1 });
});

t.test("values as people write them", async (t) => {
  const table = [
    [{ speed: "max" }, { speed: "max" }],
    [{ speed: "20" }, { speed: 20 }],
    [{ replay: false }, { replay: false }],
    [{ replay: "false" }, { replay: false }],
    [{ replay: "./mine" }, { replay: "./mine" }],
    [{ port: "0" }, { port: 0 }],
  ] as const;
  for (const [flags, expected] of table) t.match(loadConfig(flags, {}, "/nonexistent"), expected);
});

t.test("what is wrong is refused with the place, the value and the fix", async (t) => {
  const table: readonly (readonly [() => unknown, RegExp])[] = [
    [
      () => loadConfig({ port: "80800" }, {}, "/nonexistent"),
      /--port: "80800" is not accepted .*HTTP and WebSocket port/,
    ],
    [() => loadConfig({}, { MILLRACE_PARTITIONS: "many" }, "/nonexistent"), /MILLRACE_PARTITIONS: "many"/],
    [() => loadConfig({}, { NATS_URL: "localhost:4222" }, "/nonexistent"), /NATS_URL: .*nats:\/\//],
    [() => loadConfig({ rebase: "later" }, {}, "/nonexistent"), /--rebase: "later"/],
    [
      () => loadConfig({}, {}, folder("prot: 1\n")),
      /millrace.yaml, prot: there is no option prot; known are host, port/,
    ],
    [() => loadConfig({}, {}, folder("port: [1\n")), /millrace.yaml:\d+:\d+: /],
    [() => loadConfig({}, {}, folder("- 1\n")), /must be a list/],
    [() => loadConfig({ speed: "0" }, {}, "/nonexistent"), /--speed: "0"/],
  ];
  for (const [load, message] of table) t.throws(load, { code: "MR_OPTION_INVALID", message });
});

t.test("a refused secret is never shown", async (t) => {
  t.throws(() => loadConfig({}, { GITHUB_WEBHOOK_SECRET: "hunter2" }, "/nonexistent"), { message: /\(hidden\)/ });
});
