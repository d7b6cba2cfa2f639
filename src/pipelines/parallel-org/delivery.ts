import { isUtf8 } from "node:buffer";
import { createHash } from "node:crypto";
import { type LogMessage, parseTimeMs } from "../../core/index.js";

type Fields = Readonly<Record<string, unknown>>;

/** A GitHub delivery as the pipeline reads it: who did what to which repository, and when. */
export interface Delivery {
  readonly eventId: string;
  readonly source: string;
  readonly event: string;
  readonly action: string;
  /** Empty where an event belongs to no repository. */
  readonly owner: string;
  readonly repo: string;
  readonly actor: string;
  readonly isBot: boolean;
  /** When it happened by its own account; undefined where the payload does not say. */
  readonly tsMs: number | undefined;
  readonly body: string;
  readonly payload: Fields;
}

export interface DecodedDelivery {
  readonly delivery: Delivery;
  /** Why it cannot be accepted. */
  readonly refusal: string | undefined;
}

/**
 * Kinds of event that are about a repository: without one they are malformed. GitHub keeps adding kinds; what is not listed here is
 * stored as it is.
 */
const ABOUT_A_REPOSITORY = new Set(
  (
    "branch_protection_configuration branch_protection_rule check_run check_suite code_scanning_alert commit_comment create " +
    "delete dependabot_alert deploy_key deployment deployment_status discussion discussion_comment fork gollum issue_comment " +
    "issues label member merge_group milestone page_build public pull_request pull_request_review " +
    "pull_request_review_comment pull_request_review_thread push registry_package release repository repository_dispatch " +
    "repository_import repository_ruleset secret_scanning_alert star status team_add watch workflow_dispatch workflow_job " +
    "workflow_run"
  ).split(" "),
);
const FULL_NAME = /^[^/\s]+\/[^/\s]+$/;
const NO_FIELDS: Fields = {};
const BYTE_ORDER_MARK = "\ufeff";

/**
 * Reads a delivery from the log: kind and id from GitHub's headers, the rest from the raw body.
 *
 * Never throws: what is wrong is said in `refusal`. Without an id header the id is a hash of kind and body.
 */
export function decodeDelivery(message: LogMessage): DecodedDelivery {
  const event = message.header("X-GitHub-Event") ?? "";
  const { buffer, byteOffset, byteLength } = message.data;
  const bytes = Buffer.from(buffer, byteOffset, byteLength);
  const body = bytes.toString("utf8");
  const parsed = isUtf8(bytes) ? jsonOf(body) : undefined;
  const payload = isFields(parsed) ? parsed : NO_FIELDS;
  const [owner = "", repo = ""] = fullNameOf(payload)?.split("/") ?? [];
  const sender = fieldsAt(payload, "sender");
  const delivery: Delivery = {
    eventId: message.header("X-GitHub-Delivery") || hashOf(event, message.data),
    source: message.header("Millrace-Source") ?? "live",
    event,
    action: textAt(payload, "action"),
    owner,
    repo,
    actor: textAt(sender, "login"),
    isBot: isBot(sender),
    tsMs: eventTimeMs(event, payload),
    body,
    payload,
  };
  return { delivery, refusal: isFields(parsed) ? refusalOf(event, payload) : "not a JSON object" };
}

/** 32 hex digits of SHA-256. */
function hashOf(event: string, body: Uint8Array): string {
  return createHash("sha256").update(`${event}\n`).update(body).digest("hex").slice(0, 32);
}

/** The body as JSON; undefined when it is none. */
function jsonOf(body: string): unknown {
  try {
    return JSON.parse(body.startsWith(BYTE_ORDER_MARK) ? body.slice(1) : body);
  } catch {
    return undefined;
  }
}

function refusalOf(event: string, payload: Fields): string | undefined {
  if (event === "") return "no X-GitHub-Event header";
  if (!ABOUT_A_REPOSITORY.has(event)) return undefined;
  if (!isFields(payload.repository)) return `${event} without a repository`;
  return fullNameOf(payload) === undefined ? "repository.full_name is not owner/name" : undefined;
}

function fullNameOf(payload: Fields): string | undefined {
  const name = fieldsAt(payload, "repository").full_name;
  return typeof name === "string" && FULL_NAME.test(name) ? name : undefined;
}

/** When it happened, from the object the event is about. `updated_at` last: others move it too. */
function eventTimeMs(event: string, payload: Fields): number | undefined {
  if (event === "push") {
    const pushedAtS = fieldsAt(payload, "repository").pushed_at; // seconds, and GitHub's own clock: better than the author's
    if (typeof pushedAtS === "number") return parseTimeMs(pushedAtS * 1000);
    return parseTimeMs(fieldsAt(payload, "head_commit").timestamp);
  }
  const about = fieldsAt(payload, SUBJECT_OF[event] ?? event);
  const closing = payload.action === "closed" ? about.closed_at : undefined;
  const opening = payload.action === "opened" || payload.action === "created" ? about.created_at : undefined;
  const times = [payload.starred_at, about.submitted_at, closing, opening, about.completed_at, about.published_at];
  for (const time of [...times, about.updated_at, about.created_at, payload.updated_at]) {
    const ms = typeof time === "string" ? parseTimeMs(time) : undefined;
    if (ms !== undefined) return ms;
  }
  return undefined;
}

/** Where the payload keeps what the event is about, when that is not named like the event. */
const SUBJECT_OF: Readonly<Record<string, string>> = {
  pull_request_review: "review",
  pull_request_review_comment: "comment",
  issue_comment: "comment",
  commit_comment: "comment",
  discussion_comment: "comment",
  issues: "issue",
  fork: "forkee",
};

export function isBot(user: Fields): boolean {
  return user.type === "Bot" || textAt(user, "login").endsWith("[bot]");
}

export function fieldsAt(fields: Fields, name: string): Fields {
  const value = fields[name];
  return isFields(value) ? value : NO_FIELDS;
}

export function textAt(fields: Fields, name: string): string {
  const value = fields[name];
  return typeof value === "string" ? value : "";
}

function isFields(value: unknown): value is Fields {
  return value !== null && typeof value === "object" && !Array.isArray(value);
}
