import { connectAsync } from "mqtt";
import { type Log, MillraceError } from "../../core/index.js";
import { laneOf } from "../doors/mqtt-message.js";
import { watchArrivals } from "./arrivals.js";
import { shiftReading } from "./rebase.js";
import type { SampleLine } from "./records.js";
import type { Sender } from "./timeline.js";

export interface MqttSenderOptions {
  readonly log: Log;
  readonly url: string;
  readonly user?: string;
  readonly password?: string;
  /** Written over the `source` of the sample's readings. */
  readonly source: string;
  readonly signal: AbortSignal;
}

/**
 * Publishes at QoS 1. The broker's PUBACK does not say that the log has the message: that is seen in the log itself, where the same
 * bytes must arrive. So one message in flight for each key holds from end to end, also when broker or door fail in between.
 *
 * Errors: MR_LOG_UNAVAILABLE when the broker does not answer at first; afterwards the client reconnects for ever.
 */
export async function mqttSender({ log, url, user, password, source, signal }: MqttSenderOptions): Promise<Sender> {
  const credentials = {
    ...(user === undefined ? {} : { username: user }),
    ...(password === undefined ? {} : { password }),
  };
  const client = await connectAsync(url, { ...credentials, protocolVersion: 4, reconnectPeriod: 500 }, false).catch(
    (cause: Error) => {
      throw new MillraceError("MR_LOG_UNAVAILABLE", `connecting to the mqtt broker ${url}: ${cause.message}`, {
        cause,
      });
    },
  );
  client.on("error", () => undefined); // the client comes back by itself; what is lost on the way is sent again below
  const arrivals = await watchArrivals(log, signal);
  return {
    keyOf: ({ line }) => ("topic" in line ? laneOf(line.topic) : "-"),
    async send({ line, offsetMs }) {
      if (!("topic" in line))
        throw new MillraceError("MR_OPTION_INVALID", "a telemetry line of the sample has no topic");
      const payload = payloadOf(line, offsetMs, source);
      await arrivals.until(payload, () => {
        // Not awaited: an arrival says more than a PUBACK. Failures: `until` asks again.
        client.publish(line.topic, payload, { qos: 1 }, () => undefined);
      });
    },
    async close() {
      await arrivals.close();
      await client.endAsync(true);
    },
  };
}

function payloadOf(line: Extract<SampleLine, { topic: string }>, offsetMs: number, source: string): Buffer {
  if ("payloadBase64" in line) return Buffer.from(line.payloadBase64, "base64");
  const named = source === "sample" ? line.payload : line.payload.replace('"source":"sample"', `"source":"${source}"`);
  return Buffer.from(shiftReading(named, offsetMs));
}
