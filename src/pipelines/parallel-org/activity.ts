import { type AcceptedDelivery, DAY_MS, MINUTE_MS, type Origin } from "../../core/index.js";
import { pipeline, type Source, source, type Target } from "../../operators/index.js";
import { thresholds } from "../thresholds.js";
import { type Delivery, decodeDelivery } from "./delivery.js";
import { repositories } from "./repositories.js";
import { approvedNumber, repositoryEventOf } from "./repository-event.js";

const NAME = "parallel-org.activity";
const VERSION = 3;

/** GitHub redelivers for three days; a week covers that. */
const REMEMBERED_MS = 7 * DAY_MS;

/**
 * Raw webhook bodies. Webhooks overtake each other by seconds, redeliveries by days; five minutes wait for the former. A delivery
 * without a time of its own, or with one that cannot be (an author's clock may be years fast), has its source's.
 */
const deliveries: Source<Delivery> = source<Delivery>({
  stream: "github",
  decode(message, found) {
    const { data } = message;
    const { refusal, delivery } = decodeDelivery(message);
    if (refusal === undefined) found.event(delivery, 0, data.length);
    else found.malformed(refusal, 0, data.length, { id: delivery.eventId });
  },
  time: ({ tsMs }) => tsMs,
  id: ({ eventId }) => eventId,
  unique: { ttlMs: REMEMBERED_MS, by: ({ eventId }) => eventId },
  timing: { disorderMs: 5 * MINUTE_MS, idleAfterMs: 10 * MINUTE_MS, maxAheadMs: DAY_MS, ahead: "sourceTime" },
});

/** Raw body and who, what, where, when. */
const accepted: Target<Delivery> = {
  stream: "accepted",
  write({ eventId, source, event, action, owner, repo, actor, body }, { partition, timeMs: tsMs }) {
    const about = { eventId, source, event, action, owner, repo, actor, tsMs };
    const record: AcceptedDelivery = { kind: "delivery", ...about, body };
    return { stream: "accepted", subject: `accepted.${partition}.github`, record, pack: true };
  },
};

/** How people work together on each repository, from webhooks. Keyed by repository: no feature and no alert names a person. */
export const activity = pipeline(NAME, {
  summary: "GitHub deliveries to the days of each repository: what is unusual, and changes in how long merging takes",
  version: VERSION,
  late: ({ key }) => ({ domain: "github", key: String(key) }),
});

const all = activity.from(deliveries);
/** Of outlier factors, whose ordinary is 1. */
const limits = thresholds(activity, { "unusual-day": 1.5 });

all.to(accepted);
repositories(all.filter(isAboutRepository).map(newsOf), { pipeline: NAME, domain: "github" }, limits);

function isAboutRepository({ repo }: Delivery): boolean {
  return repo !== "";
}

function newsOf(delivery: Delivery, { timeMs, sequence, index }: { timeMs: number } & Omit<Origin, "stream">) {
  return {
    repository: `${delivery.owner}/${delivery.repo}`,
    event: repositoryEventOf(delivery, timeMs, { stream: "github", sequence, index }),
    approved: approvedNumber(delivery),
  };
}
