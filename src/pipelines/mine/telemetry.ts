import { type AcceptedReading, encodeToken, MINUTE_MS, partitionOf } from "../../core/index.js";
import { pipeline, type Target } from "../../operators/index.js";
import { thresholds } from "../thresholds.js";
import { readings } from "./readings.js";
import { reportedAlarms } from "./reported-alarms.js";
import { type Arrival, perSensor, telemetrySource } from "./sensor-input.js";
import { sensors } from "./sensors.js";
import { trucks } from "./trucks.js";

const NAME = "mine.telemetry";
const VERSION = 4;

/**
 * How often stage two learns of event time. Each mark is a message to every features partition from every task: at one a minute
 * marks would outnumber features six to one, and what stage two looks for takes an hour to show.
 */
const MARK_EVERY_MS = 5 * MINUTE_MS;

/** Every valid reading once. */
const accepted: Target<Arrival> = {
  stream: "accepted",
  write({ eventId, reading, door }, { partition }) {
    const record: AcceptedReading = { kind: "reading", eventId, ...reading, door };
    return { stream: "accepted", subject: `accepted.${partition}.telemetry`, record, pack: true };
  },
};

/** Equipment telemetry: haul trucks of mines, and any sensor that sends numbers. */
export const telemetry = pipeline(NAME, {
  summary:
    "readings to haul cycles, refuellings and hourly sensor windows, what is unusual about them, and the time for mine.site",
  version: VERSION,
  marks: { stream: "features", everyMs: MARK_EVERY_MS },
  late: ({ operator, key }) => ({
    domain: operator === "truckWindows" ? "mine" : "sensor",
    key: (JSON.parse(String(key)) as string[]).join("/"), // of the truck, or of the sensor: each value of a reading is late by itself
  }),
});

const all = telemetry.from(telemetrySource);
/** Of calibrated scores and of outlier factors, whose ordinary is 1. */
const limits = thresholds(telemetry, { "truck-unusual": 2, "sensor-unusual": 1.8, "sensor-reading-unusual": 0.5 });

all.to(accepted);
reportedAlarms(all, { pipeline: NAME, domain: "sensor" });
/** The groups of the mine's trucks; every other group is a sensor. */
const { rest, ...ofTrucks } = all.branch({
  status: ({ reading }) => reading.group === "status",
  refuel: ({ reading }) => reading.group === "refuel",
});
trucks(ofTrucks, { pipeline: NAME, domain: "mine" }, limits, partitionOfSite);
const values = perSensor(rest);
sensors(values, { pipeline: NAME, domain: "sensor" }, limits);
readings(values, { pipeline: NAME, domain: "sensor" }, limits);

function partitionOfSite(site: string, partitions: number): number {
  return partitionOf([encodeToken(site)], partitions);
}
