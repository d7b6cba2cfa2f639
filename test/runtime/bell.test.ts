import t from "tap";
import { Bell } from "../../src/runtime/bell.js";
import { wallClock } from "../support/clock.js";

t.test("a bell cuts a wait short, and that wait alone", async (t) => {
  const bell = new Bell(wallClock);
  const startedMs = performance.now();
  setTimeout(() => bell.ring(), 5);
  await bell.wait(60_000);
  t.ok(performance.now() - startedMs < 30_000, "rung");
  const againMs = performance.now();
  await bell.wait(40);
  t.ok(performance.now() - againMs >= 35, "what ended the first wait does not end the second");
  bell.ring();
  await bell.wait(60_000);
  t.ok(performance.now() - startedMs < 30_000, "rung before the wait: at once");
});
