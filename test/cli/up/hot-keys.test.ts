import t from "tap";
import { createHotKeys } from "../../../src/cli/up/hot-keys.js";
import { seededRandom } from "../../support/random.js";

t.test("the ten keys with most messages, largest first", async (t) => {
  const hot = createHotKeys();
  const random = seededRandom(5);
  const see = (key: string): void =>
    hot.see({ sequence: 1, subject: `telemetry.0.${key}.g`, data: new Uint8Array(), header: () => undefined });
  for (let i = 0; i < 40_000; i++)
    see(random() < 0.3 ? "site.hot" : random() < 0.2 ? "site.warm" : `site.u${Math.floor(random() * 5_000)}`);
  hot.see({ sequence: 1, subject: "telemetry.0._tick.live", data: new Uint8Array(), header: () => undefined });
  const top = hot.top();
  t.equal(top.length, 10);
  t.same(
    top.slice(0, 2).map(({ key }) => key),
    ["site.hot", "site.warm"],
  );
  t.ok(Math.abs((top[0]?.share01 ?? 0) - 0.3) < 0.03, `share of the hottest: ${top[0]?.share01}`);
});
