// Prints alerts as they come, and goes on where it stopped when it is started again:
//   node build/examples/client/print-alerts.js http://127.0.0.1:8080 "$(cat data/local.key)" place.json
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { connect, type Position } from "millrace-client";

interface Alert {
  readonly severity: string;
  readonly key: string;
  readonly title: string;
}

const [url = "http://127.0.0.1:8080", token = "", place = "place.json"] = process.argv.slice(2);
const since = existsSync(place) ? (JSON.parse(readFileSync(place, "utf8")) as Position) : undefined;

const millrace = connect(url, { token, onStatus: ({ kind }) => console.error(kind) });
process.once("SIGTERM", () => millrace.close());
process.once("SIGINT", () => millrace.close());

const alerts = millrace.subscribe<Alert>("alerts", since ? { since } : {});
for await (const update of alerts) {
  if (update.kind === "event") console.log(`${update.data.severity} ${update.data.key}: ${update.data.title}`);
  if (update.kind === "gap") console.log("some alerts are no longer in the log: look them up over HTTP");
  writeFileSync(place, JSON.stringify(alerts.position));
}
