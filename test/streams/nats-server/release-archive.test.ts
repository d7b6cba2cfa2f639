import { createHash } from "node:crypto";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import t, { type Test } from "tap";
import { RELEASE_ARCHIVES } from "../../../src/streams/nats-server/pins.js";
import { extractFile, fromReleaseArchive } from "../../../src/streams/nats-server/release-archive.js";
import { bareContext } from "./fakes.js";

const SERVER = '#!/bin/sh\necho "nats-server: v2.15.0"\n';

function tarEntry(path: string, content: string, type = "0"): Buffer {
  const header = Buffer.alloc(512);
  header.write(path, 0);
  header.write(`${content.length.toString(8).padStart(11, "0")}\0`, 124);
  header.write(type, 156);
  const body = Buffer.alloc(Math.ceil(content.length / 512) * 512);
  body.write(content);
  return Buffer.concat([header, body]);
}

const TAR = Buffer.concat([
  tarEntry("nats-server-v2.15.0-linux-amd64/", "", "5"),
  tarEntry("nats-server-v2.15.0-linux-amd64/README.md", "x".repeat(700)),
  tarEntry("nats-server-v2.15.0-linux-amd64/nats-server", SERVER),
  Buffer.alloc(1024),
]);
const ARCHIVE = gzipSync(TAR);

/** Serves on a free port until the test ends; resolves with the URL. */
async function serve(t: Test, listener: RequestListener): Promise<string> {
  const server = createServer(listener).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  t.teardown(() => server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function contextFor(t: Test, releasesUrl: string, sha256: string) {
  const pins = { minVersion: "2.14.0", version: "2.15.0", releasesUrl };
  return bareContext(t.testdir(), {
    env: { PATH: "/usr/bin:/bin" },
    pins: { ...pins, archives: { "linux-x64": { target: "linux-amd64", sha256 } } },
  });
}

t.test("an archive with the pinned checksum is unpacked into the cache", async (t) => {
  const asked: string[] = [];
  const url = await serve(t, (request, response) => {
    asked.push(request.url ?? "");
    // As the release host does: another place has the bytes.
    if (request.url?.startsWith("/v2.15.0/")) response.writeHead(302, { location: "/elsewhere" }).end();
    else response.end(ARCHIVE);
  });
  const { context, lines } = contextFor(t, url, createHash("sha256").update(ARCHIVE).digest("hex"));
  const path = join(t.testdirName, "nats-server", "2.15.0-linux-x64", "nats-server");
  t.same(await fromReleaseArchive(context), {
    kind: "found",
    server: { kind: "binary", path, version: "2.15.0", origin: "release archive" },
  });
  t.same(asked, ["/v2.15.0/nats-server-v2.15.0-linux-amd64.tar.gz", "/elsewhere"]);
  t.match(lines.at(-1), /^0\.0 MB in \d+\.\d s, SHA-256 as pinned$/);
});

t.test("an archive with any other checksum is not used", async (t) => {
  const url = await serve(t, (_request, response) => response.end(ARCHIVE));
  const { context } = contextFor(t, url, "0".repeat(64));
  const result = await fromReleaseArchive(context);
  t.match(result, {
    kind: "unavailable",
    absent: false,
    reason: /^nats-server-v2\.15\.0-linux-amd64\.tar\.gz has SHA-256/,
  });
  t.match(result, { reason: /not used$/ });
});

t.test("what goes wrong is said in one line", async (t) => {
  const missing = await serve(t, (_request, response) => response.writeHead(404).end());
  await t.rejects(fromReleaseArchive(contextFor(t, missing, "").context), { message: /answered 404$/ });
  await t.rejects(fromReleaseArchive(contextFor(t, "http://127.0.0.1:9", "").context), {
    message: /^cannot reach 127\.0\.0\.1:9: \S.*$/,
  });
  const { context } = bareContext(t.testdir(), { platform: "aix-ppc64" });
  t.match(await fromReleaseArchive(context), { reason: "no pinned checksum for aix-ppc64, skipped" });
});

t.test("extractFile finds the file by its name, and nothing else", async (t) => {
  t.equal(extractFile(TAR, "nats-server").toString(), SERVER);
  t.throws(() => extractFile(TAR, "server"), { message: "the archive holds no file called server" });
  t.throws(() => extractFile(Buffer.from("not a tar archive".repeat(64)), "nats-server"));
});

t.test("every pinned checksum is a SHA-256, and no two are equal", async (t) => {
  const sums = Object.values(RELEASE_ARCHIVES).map(({ sha256 }) => sha256);
  for (const sum of sums) t.match(sum, /^[0-9a-f]{64}$/);
  t.equal(new Set(sums).size, sums.length);
});
