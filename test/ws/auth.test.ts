import t from "tap";
import { isLoopback, isOriginAllowed, seemsLocal } from "../../src/ws/auth.js";
import type { RequestHead } from "../../src/ws/transport.js";

t.test("addresses only this machine can reach", async (t) => {
  for (const host of ["127.0.0.1", "127.9.9.9", "::1", "localhost", "::ffff:127.0.0.1", "0:0:0:0:0:0:0:1"])
    t.ok(isLoopback(host), host);
  for (const host of [
    "0.0.0.0",
    "::",
    "10.0.0.1",
    "::ffff:10.0.0.1",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "",
  ])
    t.notOk(isLoopback(host), host);
});

t.test("pages: our own and those named", async (t) => {
  const head = (origin?: string): RequestHead => ({
    method: "GET",
    path: "/ws",
    query: new URLSearchParams(),
    remoteAddress: "127.0.0.1",
    header: (name) => ({ origin, host: "wall.local:8080" })[name],
  });
  for (const origin of [undefined, "http://wall.local:8080", "https://wall.local:8080", "https://a.example"])
    t.ok(isOriginAllowed(head(origin), ["https://a.example"]), String(origin));
  for (const origin of [
    "http://wall.local",
    "https://a.example:1",
    "null",
    "file://",
    "http://wall.local:8080.evil.example",
    "",
  ])
    t.notOk(isOriginAllowed(head(origin), ["https://a.example"]), origin);
});

t.test("requests that began on this machine", async (t) => {
  const head = (headers: Record<string, string>): RequestHead => ({
    method: "GET",
    path: "/metrics",
    query: new URLSearchParams(),
    remoteAddress: "127.0.0.1",
    header: (name) => headers[name],
  });
  for (const host of ["localhost:8080", "127.0.0.1:8080", "[::1]:8080", "app.localhost", "millrace", "LOCALHOST"])
    t.ok(seemsLocal(head({ host })), host);
  t.ok(seemsLocal(head({})), "HTTP/1.0");
  for (const host of ["rebound.evil.example:8080", "127.0.0.1.evil.example", "localhost.evil.example"])
    t.notOk(seemsLocal(head({ host })), host);
  for (const name of ["x-forwarded-for", "forwarded", "via"])
    t.notOk(seemsLocal(head({ host: "localhost", [name]: "203.0.113.7" })), name);
});
