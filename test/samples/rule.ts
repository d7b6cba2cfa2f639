/**
 * The rule of samples/README.md, written down a second time and apart from the product, so that the manifest, the
 * validator and the README cannot drift together.
 */
import type { Delivery, Message } from "./records.js";

const YEAR_2000_MS = 946_684_800_000;
const HOUR_MS = 3_600_000;
const RFC_3339 = /^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$/;
const NEEDS_NO_REPOSITORY = new Set([
  ...["ping", "installation", "organization", "membership", "github_app_authorization", "security_advisory"],
  ...["sponsorship"],
]);

type Fields = Record<string, unknown>;
const isObject = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value);

function parsed(text: string | undefined): unknown {
  try {
    return text === undefined ? undefined : JSON.parse(text);
  } catch {
    return undefined; // Not JSON: as invalid as a missing body.
  }
}

/** Whether the message holds one valid reading. */
export function isValidMessage({ at, topic, payload }: Message): boolean {
  const reading = parsed(payload);
  if (!isObject(reading)) return false;
  const [, , site, equipment, group] = topic.split("/");
  const placed = { site, equipment, group };
  const { id, ts, values = {}, labels = {} } = reading;
  return (
    Object.entries(placed).every(([name, part]) => reading[name] === undefined || reading[name] === part) &&
    isTime(ts, at) &&
    (id === undefined || (typeof id === "string" && id.length >= 1 && id.length <= 128)) &&
    isObject(values) &&
    Object.keys(values).length <= 64 &&
    Object.values(values).every(Number.isFinite) &&
    isObject(labels) &&
    Object.values(labels).every((label) => typeof label === "string" && label.length <= 256) &&
    Object.keys(values).length + Object.keys(labels).length > 0
  );
}

function isTime(ts: unknown, at: number): boolean {
  const timeMs = typeof ts === "string" && RFC_3339.test(ts) ? Date.parse(ts) : ts;
  return Number.isInteger(timeMs) && Number(timeMs) >= YEAR_2000_MS && Number(timeMs) <= at + HOUR_MS;
}

/** Whether the delivery can be filed under a repository, or is of a kind that has none. */
export function isValidDelivery({ event, body }: Delivery): boolean {
  const payload = parsed(body);
  if (!isObject(payload)) return false;
  const { repository } = payload;
  if (repository === undefined) return NEEDS_NO_REPOSITORY.has(event);
  if (!isObject(repository) || typeof repository.full_name !== "string") return false;
  return /^[^/\s]+\/[^/\s]+$/.test(repository.full_name);
}
