import {
  type AcceptedDelivery,
  DAY_MS,
  type Emit,
  type LogMessage,
  MINUTE_MS,
  type Pipeline,
  type Program,
  type TaskContext,
} from "../../core/index.js";
import { loadState, type Stateful, saveState } from "../../operators/index.js";
import { intake } from "../intake.js";
import type { Speaker } from "../report.js";
import { kindOf, tickOf } from "../subject.js";
import { type Delivery, decodeDelivery } from "./delivery.js";
import { repositoryBranch } from "./repository-branch.js";
import { approvedNumber, repositoryEventOf } from "./repository-event.js";

const NAME = "parallel-org.activity";
const VERSION = 1;

/** Webhooks overtake each other by seconds, redeliveries by days; five minutes wait for the former. */
const TIME = { disorderMs: 5 * MINUTE_MS, idleAfterMs: 10 * MINUTE_MS, maxAheadMs: DAY_MS };

/** How people work together on each repository, from webhooks. Keyed by repository: no feature and no alert names a person. */
export const activity: Pipeline = {
  name: NAME,
  summary: "GitHub deliveries to the days of each repository: what is unusual, and changes in how long merging takes",
  source: "github",
  writes: ["accepted", "features", "alerts", "dead", "late"],
  version: VERSION,
  steps: [
    { name: "deliveries", kind: "source", detail: "github.<p>: raw webhook bodies and ticks" },
    { name: "decode", kind: "operator", detail: "kind and id from headers, time from the object it is about" },
    { name: "seen", kind: "operator", detail: "duplicates by delivery id, 7 days" },
    { name: "validate", kind: "operator", detail: "JSON, owner/name where the kind has a repository", to: ["dead"] },
    { name: "accept", kind: "sink", detail: "raw body and who, what, where, when", to: ["accepted"] },
    { name: "approvals", kind: "operator", detail: "first approval of each open pull request" },
    { name: "days", kind: "window", detail: "tumbling 1 day per repository", to: ["features", "late"] },
    { name: "unusual", kind: "score", detail: "LOF of the day among the repository's last 128", to: ["features"] },
    { name: "waiting", kind: "score", detail: "ADWIN over hours from approval, opening to merge", to: ["features"] },
    { name: "unusualDays", kind: "alert", detail: "unusual-day, over after 3 quiet days", to: ["alerts"] },
    { name: "mergeTimes", kind: "alert", detail: "merge-time-changed, over after 7 quiet days", to: ["alerts"] },
  ],
  create: (context) => createActivity(context),
};

function createActivity({ partition }: TaskContext): Program {
  const speaker: Speaker = { pipeline: NAME, domain: "github", partition };
  const door = intake({ pipeline: NAME, domain: "github", time: TIME, ahead: "accept" });
  const repositories = repositoryBranch(speaker);
  const operators: Record<string, Stateful> = { ...door.operators, ...repositories.operators };

  function event(message: LogMessage, emit: Emit): void {
    const delivery = decodeDelivery(message);
    if (!door.admit({ ...delivery, identity: delivery.eventId, index: 0 }, message, emit)) return;
    const timeMs = timeOf(delivery);
    accept(delivery, timeMs, emit);
    if (delivery.repo === "") return;
    const repository = `${delivery.owner}/${delivery.repo}`;
    const number = approvedNumber(delivery);
    if (number !== undefined) repositories.approve(repository, number, timeMs);
    const origin = { stream: "github", sequence: message.sequence, index: 0 };
    const lateByMs = repositories.take(repository, repositoryEventOf(delivery, timeMs, origin));
    if (lateByMs === undefined) return;
    door.late({ domain: "github", key: repository, eventId: delivery.eventId, tsMs: timeMs, lateByMs }, emit);
  }

  /** Its own time; the source's where it has none or one that cannot be (an author's clock may be years fast). */
  function timeOf({ source, tsMs }: Delivery): number {
    if (tsMs !== undefined && !door.marks.isAhead(source, tsMs)) return tsMs;
    return door.marks.sourceTimeMs(source) ?? tsMs ?? 0;
  }

  function accept(delivery: Delivery, tsMs: number, emit: Emit): void {
    const { eventId, source, event, action, owner, repo, actor, body } = delivery;
    const about = { eventId, source, event, action, owner, repo, actor, tsMs };
    const record: AcceptedDelivery = { kind: "delivery", ...about, body };
    emit({ stream: "accepted", subject: `accepted.${partition}.github`, record, pack: true });
  }

  return {
    apply(message, _ahead, emit) {
      const kind = kindOf(message);
      if (kind === "event") return event(message, emit);
      const tick = kind === "tick" ? tickOf(message) : undefined;
      if (tick === undefined || !door.marks.tick(tick)) return;
      const watermarkMs = door.marks.watermarkMs() as number;
      repositories.advance(watermarkMs, emit);
      door.advance(watermarkMs);
    },
    counters: door.counters,
    watermarkMs: door.marks.watermarkMs,
    save: () => saveState(NAME, VERSION, operators),
    load: (state) => loadState(state, NAME, VERSION, operators),
  };
}
