import t from "tap";
import { ackLink, readAckLink } from "../../src/core/index.js";

const LINK = { fingerprint: "a/b c&d", receiver: "ops", expiresMs: 1_000 };

t.test("a link says what it was made for, until it ends", async (t) => {
  const url = new URL(ackLink("https://wall.example/x?y", LINK, "secret"));
  t.equal(url.origin + url.pathname, "https://wall.example/ack");
  t.same(readAckLink(url.searchParams, "secret", 999), LINK);
  t.equal(readAckLink(url.searchParams, "secret", 1_000), undefined, "over");
  t.equal(readAckLink(url.searchParams, "another", 1), undefined, "signed by somebody else");
});

t.test("nothing of it can be changed", async (t) => {
  for (const name of ["alert", "by", "until", "sig"]) {
    for (const value of ["x", "", "999999999999"]) {
      const { searchParams } = new URL(ackLink("https://wall.example", LINK, "secret"));
      searchParams.set(name, value);
      t.equal(readAckLink(searchParams, "secret", 1), undefined, `${name}=${value}`);
    }
  }
  t.equal(readAckLink(new URLSearchParams(), "secret", 1), undefined);
});
