import t from "tap";
import { Thread } from "../../../src/cli/up/thread.js";
import { MillraceError } from "../../../src/core/index.js";

const url = new URL("support/churning.js", import.meta.url);

t.test("a thread answers, says how it is, and ends when asked", async (t) => {
  const failures: Error[] = [];
  const thread = new Thread<string>(url, undefined, (error) => failures.push(error));
  await thread.ready();
  t.equal(thread.status, "churning");
  await t.rejects(thread.request("fly", undefined), { message: "no such request: fly" });
  t.ok(
    (await thread.request<number>("churn", undefined)) <= 3,
    "a small heap is collected seldom: 0.4 GB come and go in it",
  );
  await thread.stop();
  await thread.stop();
  await t.rejects(
    thread.request("churn", undefined),
    new MillraceError("MR_SINK_UNAVAILABLE", "asking for churn: the thread has ended"),
  );
  t.same(failures, []);
});

t.test("a thread that cannot start says why, once", async (t) => {
  const failures: Error[] = [];
  const thread = new Thread(new URL("support/nothing.js", import.meta.url), undefined, (error) => failures.push(error));
  await t.rejects(thread.ready(), { code: "MODULE_NOT_FOUND" });
  t.equal(failures.length, 1);
  await thread.stop();
});
