import { setTimeout as delay } from "node:timers/promises";
import { connect, headers } from "nats";
import t from "tap";
import { openAnswers } from "../../src/streams/answers.js";
import { startNats } from "../support/nats.js";
import { bytes, text } from "../support/text.js";

t.test("each question gets its own answer, or why there is none", async (t) => {
  const server = await startNats();
  t.teardown(server.stop);
  const [nc, other] = await Promise.all([connect({ servers: server.url }), connect({ servers: server.url })]);
  t.teardown(() => Promise.all([nc.close(), other.close()]));
  const answers = openAnswers(nc, 500);
  const heard: (() => void)[] = [];
  other.subscribe("echo", {
    callback: (_error, message) => {
      const more = message.headers?.get("More") ?? "";
      heard.push(() => message.respond(bytes(`${message.string()}${more}`)));
      if (heard.length < 100) return;
      for (const answer of heard.reverse()) answer(); // the last comes first
    },
  });
  other.subscribe("silent", { callback: () => undefined });
  other.subscribe("late", {
    callback: (_error, message) => void delay(700).then(() => message.respond(bytes("late"))),
  });
  await other.flush();
  const hdrs = headers();
  hdrs.set("More", "!");
  const found = await Promise.all(Array.from({ length: 100 }, (_, i) => answers.ask("echo", bytes(`${i}`), hdrs)));
  t.same(
    found.map(({ data }) => text(data)),
    Array.from({ length: 100 }, (_, i) => `${i}!`),
  );
  await t.rejects(answers.ask("nobody", bytes("")), { name: "NoResponders", message: /nobody/ });
  const startedMs = performance.now();
  const silent = answers.ask("silent", bytes(""));
  silent.catch(() => undefined);
  await delay(200);
  const later = answers.ask("late", bytes(""));
  later.catch(() => undefined);
  await t.rejects(silent, { name: "TimeoutError" });
  t.ok(performance.now() - startedMs >= 490);
  await t.rejects(later, { name: "TimeoutError" }, "each has its own time");
  t.ok(performance.now() - startedMs >= 690);
  await delay(300);
  t.equal(text((await answers.ask("late", bytes("")).catch(() => ({ data: bytes("none") }))).data), "none");
  await t.rejects(answers.ask("no good", bytes("")), { name: "InvalidSubjectError" });
  const open = answers.ask("silent", bytes(""));
  const ended = t.rejects(open, { name: "ClosedConnectionError" }, "nobody waits for a connection that has ended");
  await nc.close();
  await ended;
  await t.rejects(answers.ask("echo", bytes("")), { name: "ClosedConnectionError" });
});
