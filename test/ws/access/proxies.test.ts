import t from "tap";
import { clientAddress } from "../../../src/ws/access/proxies.js";
import type { RequestHead } from "../../../src/ws/transport.js";

const head = (remoteAddress: string, forwarded?: string): RequestHead => ({
  method: "GET",
  path: "/",
  query: new URLSearchParams(),
  remoteAddress,
  header: (name) => (name === "x-forwarded-for" ? forwarded : undefined),
});

t.test("only what a trusted proxy added is believed", async (t) => {
  const addressOf = clientAddress(["10.0.0.0/8", "::1", "127.0.0.1"]);
  const table: [remote: string, forwarded: string | undefined, expected: string][] = [
    ["203.0.113.7", "198.51.100.1", "203.0.113.7"],
    ["10.1.2.3", "198.51.100.1", "198.51.100.1"],
    ["10.1.2.3", "127.0.0.1, 198.51.100.1", "198.51.100.1"],
    ["10.1.2.3", "198.51.100.1, 10.9.9.9", "198.51.100.1"],
    ["10.1.2.3", "6.6.6.6, 198.51.100.1, 10.9.9.9", "198.51.100.1"],
    ["10.1.2.3", undefined, "10.1.2.3"],
    ["10.1.2.3", "nonsense", "10.1.2.3"],
    ["0000:0000:0000:0000:0000:0000:0000:0001", "2001:db8::1", "2001:db8::1"],
    ["10.1.2.3", "10.2.2.2", "10.2.2.2"],
  ];
  for (const [remote, forwarded, expected] of table)
    t.equal(addressOf(head(remote, forwarded)), expected, `${remote} ${forwarded}`);
  t.equal(clientAddress([])(head("127.0.0.1", "6.6.6.6")), "127.0.0.1", "without proxies the header is not read");
  for (const wrong of ["proxy.example", "10.0.0.0/99", ""])
    t.throws(() => clientAddress([wrong]), { code: "MR_OPTION_INVALID" }, wrong);
});
