import t from "tap";
import { Outgoing } from "../../../src/sinks/index.js";
import { startReceivers } from "../../support/receivers.js";

const post = (outgoing: Outgoing, url: string) =>
  outgoing.request({ method: "POST", url: new URL(url), headers: {}, body: "{}" });

t.test("only public addresses are spoken to", async (t) => {
  const outgoing = new Outgoing({ timeoutMs: 200 });
  const inside = [
    ...["127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1"],
    ...[
      "255.255.255.255",
      "[::1]",
      "[fe80::1]",
      "[fd00::1]",
      "[::ffff:10.0.0.1]",
      "[64:ff9b::a00:1]",
      "[2002:a00:1::]",
    ],
    ...["2130706433", "0x7f.1", "017700000001"], // other ways of writing 127.0.0.1
  ];
  for (const host of inside) {
    t.match(await post(outgoing, `https://${host}/x`), { kind: "forbidden", reason: /not a public address/ }, host);
  }
  t.match(await post(outgoing, "https://localhost/x"), { kind: "forbidden" });
  t.match(await post(outgoing, "file:///etc/passwd"), { kind: "forbidden", reason: /only http and https/ });
});

t.test("a name that changes its mind gains nothing", async (t) => {
  const receivers = await startReceivers(() => "take");
  t.teardown(() => receivers.close());
  const { port } = new URL(receivers.url);
  const answers = [
    [{ address: "192.0.0.9", family: 4 }],
    [
      { address: "8.8.8.8", family: 4 },
      { address: "127.0.0.1", family: 4 },
    ],
  ];
  let asked = 0;
  const outgoing = new Outgoing({ timeoutMs: 300, lookup: async () => answers[asked++] ?? [] });
  for (const what of ["a reserved address", "one public and one inside"]) {
    t.match(await post(outgoing, `https://rebind.example:${port}/`), { kind: "forbidden" }, what);
  }
  t.match(await post(outgoing, `https://rebind.example:${port}/`), { kind: "unsent", reason: /no address/ });
  t.equal(asked, 3, "asked once a request: the connection asks nobody");
  t.equal(receivers.taken.length, 0);

  // The address that was checked is the one that is connected to, whatever the name resolves to by then.
  const pinned = new Outgoing({ allow: ["127.0.0.1"], lookup: async () => [{ address: "127.0.0.1", family: 4 }] });
  t.match(await post(pinned, `http://no-such-name.invalid:${port}/hook`), { kind: "answer", status: 200 });
});

t.test("https only, but for networks that are allowed; redirects end it", async (t) => {
  const receivers = await startReceivers(() => "redirect");
  t.teardown(() => receivers.close());
  const outgoing = new Outgoing({ lookup: async () => [{ address: "93.184.215.14", family: 4 }], timeoutMs: 200 });
  t.match(await post(outgoing, "http://public.example/"), {
    kind: "forbidden",
    reason: "public.example: https only, outside the allowed networks",
  });
  const allowed = new Outgoing({ allow: ["::1/128", "127.0.0.0/8"] });
  t.match(await post(allowed, `${receivers.url}/secret-path`), { kind: "forbidden", reason: /redirect \(302\)/ });
  t.notMatch(JSON.stringify(await post(allowed, `${receivers.url}/secret-path`)), "secret-path");
});

t.test("a pause that was asked for, in seconds or as a date", async (t) => {
  const receivers = await startReceivers(() => "busy");
  t.teardown(() => receivers.close());
  const outgoing = new Outgoing({ allow: ["127.0.0.1"] });
  t.match(await post(outgoing, receivers.url), { status: 429, retryAfterMs: 1_000 });
});

t.test("a network that is none is refused", async (t) => {
  t.throws(() => new Outgoing({ allow: ["10.0.0.0/99"] }), { code: "MR_OPTION_INVALID" });
  t.throws(() => new Outgoing({ allow: ["example"] }), { code: "MR_OPTION_INVALID" });
});
