import t from "tap";
import { decodeDelivery } from "../../../src/pipelines/parallel-org/delivery.js";
import { approvedNumber, repositoryEventOf } from "../../../src/pipelines/parallel-org/repository-event.js";
import { logMessage } from "../../support/program-runner.js";

const ORIGIN = { stream: "github", sequence: 1, index: 0 };

const delivery = (event: string, payload: object) => {
  const data = JSON.stringify({ repository: { full_name: "o/r" }, sender: { login: "ann" }, ...payload });
  return decodeDelivery(
    logMessage({ subject: "github.0.o.r.e", data, headers: { "X-GitHub-Event": event, "X-GitHub-Delivery": "d" } }, 1),
  ).delivery;
};
const eventOf = (event: string, payload: object) => repositoryEventOf(delivery(event, payload), 5, ORIGIN);

t.test("kinds", async (t) => {
  const created_at = "2024-01-01T00:00:00Z";
  const table: readonly (readonly [string, object, object])[] = [
    ["pull_request", { action: "opened", pull_request: { number: 3 } }, { kind: "opened", number: 3 }],
    ["pull_request", { action: "closed", pull_request: { number: 3, merged: false } }, { kind: "closed" }],
    [
      "pull_request",
      { action: "closed", pull_request: { number: 3, merged: true, created_at } },
      { kind: "merged", createdMs: Date.parse(created_at) },
    ],
    ["pull_request", { action: "labeled", pull_request: { number: 3 } }, { kind: "other" }],
    [
      "pull_request_review",
      { action: "submitted", review: { state: "commented" } },
      { kind: "reviewed", isBot: false },
    ],
    [
      "pull_request_review",
      { action: "submitted", review: { user: { login: "x[bot]" } } },
      { kind: "reviewed", isBot: true },
    ],
    ["pull_request_review", { action: "dismissed" }, { kind: "other" }],
    ["issue_comment", { action: "created" }, { kind: "commented" }],
    ["issue_comment", { action: "deleted" }, { kind: "other" }],
    ["star", { action: "created" }, { kind: "other" }],
    ["push", {}, { kind: "pushed", commits: 0 }],
  ];
  for (const [event, payload, expected] of table) {
    t.match(
      eventOf(event, payload),
      { ...expected, eventId: "d", timeMs: 5, actor: "ann", origin: ORIGIN },
      `${event} ${JSON.stringify(payload)}`,
    );
  }
});

t.test("commits: those not seen elsewhere; local hours only where the author's clock is told", async (t) => {
  const commits = [
    { timestamp: "2024-01-01T10:00:00+02:00" }, // a Monday, inside
    { timestamp: "2024-01-01T18:00:00-05:00" }, // evening
    { timestamp: "2024-01-06T10:00:00+02:00" }, // a Saturday
    { timestamp: "2024-01-01T10:00:00Z" },
    { timestamp: "2024-01-01T10:00:00+00:00" },
    { timestamp: "nonsense" },
    { distinct: false, timestamp: "2024-01-01T10:00:00+02:00" },
    null,
  ];
  t.match(eventOf("push", { commits }), { commits: 7, localHours: { inside: 1, outside: 2 } });
  t.match(eventOf("push", { commits: "none" }), { commits: 0 });
});

t.test("an approval is somebody else's", async (t) => {
  const review = (state: unknown, login: string) => ({
    action: "submitted",
    review: { state, user: { login } },
    pull_request: { number: 9, user: { login: "ann" } },
  });
  t.equal(approvedNumber(delivery("pull_request_review", review("approved", "bob"))), 9);
  t.equal(approvedNumber(delivery("pull_request_review", review("APPROVED", "bob"))), 9);
  t.equal(approvedNumber(delivery("pull_request_review", review("approved", "ann"))), undefined);
  t.equal(approvedNumber(delivery("pull_request_review", review("commented", "bob"))), undefined);
  t.equal(approvedNumber(delivery("pull_request", review("approved", "bob"))), undefined);
});
