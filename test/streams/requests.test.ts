import t from "tap";
import { MillraceError } from "../../src/core/index.js";
import { connectLog } from "../../src/streams/index.js";
import { startNats } from "../support/nats.js";

t.test("questions between processes", async (t) => {
  const server = await startNats();
  const [one, other] = [
    await connectLog({ url: server.url, name: "one" }),
    await connectLog({ url: server.url, name: "other" }),
  ];
  t.teardown(async () => {
    await Promise.all([one.close(), other.close()]);
    await server.stop();
  });

  await t.rejects(one.requests.ask("nobody"), { code: "MR_LOG_UNAVAILABLE" }, "nobody serves it");
  t.same(await one.requests.askAll("nobody", null, 50), [], "nobody at all");

  const ends = [
    one.requests.serve("double", async ({ n }: { n: number }) => ({ who: "one", n: 2 * n })),
    other.requests.serve("double", async ({ n }: { n: number }) => ({ who: "other", n: 2 * n })),
  ];
  t.match(await one.requests.ask("double", { n: 21 }), { n: 42 }, "any of them answers one");
  const all = await other.requests.askAll<{ who: string }>("double", { n: 1 }, 200);
  t.same(all.map(({ who }) => who).sort(), ["one", "other"], "each answers all");

  one.requests.serve("refuse", async () => {
    throw new MillraceError("MR_QUERY_REFUSED", "not that");
  });
  await one.requests.ask("double", { n: 1 }); // a round trip: the server knows of the service
  await t.rejects(
    other.requests.ask("refuse"),
    { code: "MR_QUERY_REFUSED", message: "not that" },
    "a refusal keeps its code",
  );
  t.same(await other.requests.askAll("refuse", null, 100), [], "and is left out of many");

  for (const end of ends) end();
  await one.requests.askAll("double", { n: 1 }, 50); // a round trip: both have said goodbye
  await t.rejects(one.requests.ask("double", { n: 1 }), { code: "MR_LOG_UNAVAILABLE" }, "no longer served");
});
