import type { IPublishPacket } from "mqtt";
import { encodeToken, type NewMessage, UNKNOWN_TOKEN } from "../../core/index.js";

const NAME_CHARS_MOST = 128;
const TOPIC_CHARS_MOST = 1_024;
const TRUNCATED_BYTES = 64 * 1024;
const NOWHERE = `in.telemetry.${UNKNOWN_TOKEN}.${UNKNOWN_TOKEN}.${UNKNOWN_TOKEN}`;

/**
 * What a delivery becomes in the log: its bytes, under `in.telemetry.<site>.<equipment>.<group>`, or under `-` with the topic in the header
 * `Millrace-Topic` (percent-encoded, cut at 1024 characters) when that is not `millrace/v1/<site>/<equipment>/<group>`.
 */
export function messageOf({ topic, payload }: IPublishPacket): NewMessage {
  const data = typeof payload === "string" ? new TextEncoder().encode(payload) : payload;
  const headers = { "Millrace-Door": "mqtt", "Millrace-Source": "live" };
  const names = namesOf(topic);
  if (names !== undefined) return { subject: `in.telemetry.${names.map(encodeToken).join(".")}`, data, headers };
  return {
    subject: NOWHERE,
    data,
    headers: { ...headers, "Millrace-Topic": encodeToken(topic.slice(0, TOPIC_CHARS_MOST)) },
  };
}

/** Messages of one lane keep their order: those of one equipment, whatever their group. */
export function laneOf(topic: string): string {
  const names = namesOf(topic);
  return names === undefined ? UNKNOWN_TOKEN : `${names[0]}/${names[1]}`;
}

/** What is left of a message the log cannot take: the first 64 KB, which no longer is a reading, so it ends as a dead letter. */
export function truncated({ data, headers }: NewMessage): NewMessage {
  const total = { "Millrace-Bytes-Total": String(data.length) };
  return { subject: NOWHERE, data: data.subarray(0, TRUNCATED_BYTES), headers: { ...headers, ...total } };
}

function namesOf(topic: string): readonly string[] | undefined {
  const [root, version, ...names] = topic.split("/");
  if (root !== "millrace" || version !== "v1" || names.length !== 3) return undefined;
  return names.every((name) => name.length > 0 && name.length <= NAME_CHARS_MOST) ? names : undefined;
}
