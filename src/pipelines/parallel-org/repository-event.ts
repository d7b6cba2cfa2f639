import type { Origin } from "../../core/index.js";
import { parseTimeMs } from "../../core/index.js";
import type { RepositoryEvent } from "../../operators/index.js";
import { type Delivery, fieldsAt, isBot } from "./delivery.js";

type Fields = Readonly<Record<string, unknown>>;

/** The delivery as the features of its repository read it, at `timeMs`. */
export function repositoryEventOf(delivery: Delivery, timeMs: number, origin: Origin): RepositoryEvent {
  const { eventId, actor, payload } = delivery;
  const base = { eventId, timeMs, origin, actor, isBot: delivery.isBot };
  const pull = fieldsAt(payload, "pull_request");
  const number = typeof pull.number === "number" ? pull.number : 0;
  switch (delivery.event) {
    case "push":
      return { ...base, kind: "pushed", ...commitsOf(payload) };
    case "pull_request":
      if (delivery.action === "opened") return { ...base, kind: "opened", number };
      if (delivery.action !== "closed") return { ...base, kind: "other" };
      return pull.merged === true
        ? { ...base, kind: "merged", number, ...createdOf(pull) }
        : { ...base, kind: "closed", number };
    case "pull_request_review":
      if (delivery.action !== "submitted") return { ...base, kind: "other" };
      return {
        ...base,
        isBot: isBot(fieldsAt(fieldsAt(payload, "review"), "user")) || base.isBot,
        kind: "reviewed",
        number,
      };
    case "issue_comment":
    case "commit_comment":
    case "discussion_comment":
    case "pull_request_review_comment":
      return { ...base, kind: delivery.action === "deleted" ? "other" : "commented" };
    default:
      return { ...base, kind: "other" };
  }
}

/** The pull request that this delivery approves; undefined when it approves none. An author's own approval is none. */
export function approvedNumber({ event, action, payload }: Delivery): number | undefined {
  const review = fieldsAt(payload, "review");
  const pull = fieldsAt(payload, "pull_request");
  if (event !== "pull_request_review" || action !== "submitted" || String(review.state).toLowerCase() !== "approved")
    return undefined;
  if (fieldsAt(review, "user").login === fieldsAt(pull, "user").login) return undefined;
  return typeof pull.number === "number" ? pull.number : undefined;
}

function createdOf(pull: Fields): { createdMs?: number } {
  const createdMs = parseTimeMs(pull.created_at);
  return createdMs === undefined ? {} : { createdMs };
}

/** A push repeats commits that other branches already have; `distinct` marks the new ones. */
function commitsOf(payload: Fields): Pick<RepositoryEvent, "commits" | "localHours"> {
  const commits = (Array.isArray(payload.commits) ? payload.commits : []) as readonly Fields[];
  const fresh = commits.filter((commit) => commit?.distinct !== false);
  const localHours = { inside: 0, outside: 0 };
  for (const commit of fresh) {
    const local = localTime(commit?.timestamp);
    if (local === undefined) continue;
    const working = local.hour >= 9 && local.hour < 18 && local.day >= 1 && local.day <= 5;
    if (working) localHours.inside++;
    else localHours.outside++;
  }
  return { commits: fresh.length, localHours };
}

/** The author's hour and weekday. A time in UTC says nothing about where somebody lives, so it is undefined. */
function localTime(timestamp: unknown): { hour: number; day: number } | undefined {
  if (typeof timestamp !== "string" || parseTimeMs(timestamp) === undefined || /(?:[Zz]|[+-]00:00)$/.test(timestamp))
    return undefined;
  const wall = new Date(`${timestamp.slice(0, 19).replace(" ", "T")}Z`);
  return { hour: wall.getUTCHours(), day: wall.getUTCDay() };
}
