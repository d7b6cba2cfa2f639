import t from "tap";
import { ackLink, type HttpRequest, type OperatorCommand } from "../../../src/core/index.js";
import { ackRoutes } from "../../../src/ws/rest/ack.js";
import { readAll } from "../../support/log.js";
import { memoryLog } from "../../support/memory-log.js";

const SECRET = "s";
const link = (expiresMs: number) =>
  new URL(ackLink("https://wall.example", { fingerprint: 'f"1<', receiver: "ops", expiresMs }, SECRET)).searchParams;

t.test("opening asks, the button acknowledges, twice is once", async (t) => {
  const log = memoryLog();
  await log.ensureStream({ name: "commands", subjects: ["commands.>"], maxBytes: 1 << 20 });
  const [ask, send] = ackRoutes(log, SECRET, () => 5_000);
  const get = (query: URLSearchParams) => ask?.handle({ query } as HttpRequest);
  const post = (query: URLSearchParams) =>
    send?.handle({ body: Buffer.from(query.toString()) } as unknown as HttpRequest);

  const asked = await get(link(9_000));
  t.equal(asked?.status, 200);
  t.match(asked?.body, /<form method="post"/);
  t.notMatch(asked?.body, 'f"1<', "what came from outside is text");
  t.same(await readAll(log, "commands", "commands.>"), [], "nothing happened yet");

  for (const _ of [1, 2]) t.equal((await post(link(9_000)))?.status, 200);
  const commands = await readAll(log, "commands", "commands.>");
  t.equal(commands.length, 1);
  t.match(JSON.parse(Buffer.from(commands[0]?.data ?? "").toString()) as OperatorCommand, {
    command: "ack",
    target: 'f"1<',
    by: "receiver ops",
    role: "operator",
    ts: "1970-01-01T00:00:05.000Z",
  });

  const forged = link(9_000);
  forged.set("alert", "f2");
  for (const query of [link(5_000), forged, new URLSearchParams()]) {
    t.equal((await get(query))?.status, 403);
    t.equal((await post(query))?.status, 403);
  }
});
