import t from "tap";
import { decodeDelivery } from "../../../src/pipelines/parallel-org/delivery.js";
import { logMessage } from "../../support/program-runner.js";

const REPOSITORY = { full_name: "rust-lang/docs.rs" };

function decode(event: string, payload: unknown, headers: Record<string, string> = {}) {
  const data = typeof payload === "string" ? payload : JSON.stringify(payload);
  const { delivery, refusal } = decodeDelivery(
    logMessage({ subject: "github.0.a.b.c", data, headers: { "X-GitHub-Event": event, ...headers } }, 1),
  );
  return { ...delivery, refusal };
}

t.test("who did what to what; the id is GitHub's, or a hash of kind and body", async (t) => {
  const payload = { action: "opened", repository: REPOSITORY, sender: { login: "ann", type: "User" } };
  const delivery = decode("pull_request", payload, { "X-GitHub-Delivery": "guid", "Millrace-Source": "sample" });
  t.match(delivery, {
    ...{
      eventId: "guid",
      source: "sample",
      event: "pull_request",
      action: "opened",
      owner: "rust-lang",
      repo: "docs.rs",
    },
    ...{ actor: "ann", isBot: false, refusal: undefined, body: JSON.stringify(payload) },
  });
  const [one, same, other] = [
    decode("push", { repository: REPOSITORY }),
    decode("push", { repository: REPOSITORY }),
    decode("star", { repository: REPOSITORY }),
  ];
  t.equal(one.eventId, same.eventId);
  t.not(one.eventId, other.eventId);
  t.equal(one.source, "live");
});

t.test("bots by type or by name", async (t) => {
  for (const [sender, bot] of [
    [{ login: "x", type: "Bot" }, true],
    [{ login: "x[bot]", type: "User" }, true],
    [{ login: "robot" }, false],
    [undefined, false],
  ] as const) {
    t.equal(decode("push", { repository: REPOSITORY, sender }).isBot, bot, JSON.stringify(sender));
  }
});

t.test("what is refused, and what is stored as it is", async (t) => {
  const table: readonly (readonly [string, unknown, RegExp | undefined])[] = [
    ["push", "not json", /not a JSON object/],
    ["push", "payload={}", /not a JSON object/],
    ["push", "[]", /not a JSON object/],
    ["push", {}, /push without a repository/],
    ["push", { repository: "a/b" }, /push without a repository/],
    ["push", { repository: { full_name: 42 } }, /not owner\/name/],
    ["push", { repository: { full_name: "name" } }, /not owner\/name/],
    ["push", { repository: { full_name: "a/b/c" } }, /not owner\/name/],
    ["push", { repository: { full_name: "a/ b" } }, /not owner\/name/],
    ["", { repository: REPOSITORY }, /no X-GitHub-Event/],
    ["ping", { zen: "x" }, undefined],
    ["installation", { repository: { full_name: 3 } }, undefined],
    ["something_new", { any: "thing" }, undefined],
    ["push", { repository: REPOSITORY }, undefined],
  ];
  for (const [event, payload, refusal] of table) {
    const delivery = decode(event, payload);
    if (refusal === undefined) t.equal(delivery.refusal, undefined, event);
    else t.match(delivery.refusal, refusal, `${event} ${JSON.stringify(payload)}`);
  }
});

t.test("UTF-8 only, a byte order mark is none of the JSON", async (t) => {
  const refusalOf = (data: Uint8Array) =>
    decodeDelivery(logMessage({ subject: "github.0.a.b.c", data, headers: { "X-GitHub-Event": "ping" } }, 1)).refusal;
  t.equal(refusalOf(Buffer.from('\ufeff{"zen":"\u00e4"}')), undefined);
  t.equal(refusalOf(Buffer.from('{"zen":"\xe4"}', "latin1")), "not a JSON object");
});

t.test("event time is that of the object it is about", async (t) => {
  const at = (hour: number) => `2024-01-01T0${hour}:00:00Z`;
  const ms = (hour: number) => Date.parse(at(hour));
  const table: readonly (readonly [string, object, number | undefined])[] = [
    ["pull_request_review", { review: { submitted_at: at(1) }, pull_request: { updated_at: at(2) } }, ms(1)],
    [
      "pull_request",
      { action: "closed", pull_request: { created_at: at(1), closed_at: at(2), updated_at: at(3) } },
      ms(2),
    ],
    ["pull_request", { action: "opened", pull_request: { created_at: at(1), updated_at: at(3) } }, ms(1)],
    ["pull_request", { action: "labeled", pull_request: { created_at: at(1), updated_at: at(3) } }, ms(3)],
    ["issue_comment", { action: "created", comment: { created_at: at(4), updated_at: at(5) } }, ms(4)],
    ["issues", { action: "edited", issue: { created_at: at(4), updated_at: at(5) } }, ms(5)],
    ["push", { head_commit: { timestamp: "2024-01-01T03:00:00+02:00" } }, ms(1)],
    ["push", { head_commit: { timestamp: at(1) }, repository: { ...REPOSITORY, pushed_at: ms(2) / 1000 } }, ms(2)],
    ["push", { head_commit: null }, undefined],
    ["check_run", { check_run: { completed_at: at(6) } }, ms(6)],
    ["star", { starred_at: at(7) }, ms(7)],
    ["fork", { forkee: { created_at: at(8) } }, ms(8)],
    ["ping", {}, undefined],
    ["pull_request", { pull_request: { updated_at: "yesterday" } }, undefined],
  ];
  for (const [event, payload, timeMs] of table)
    t.equal(decode(event, { repository: REPOSITORY, ...payload }).tsMs, timeMs, `${event} ${JSON.stringify(payload)}`);
});
