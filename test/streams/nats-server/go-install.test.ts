import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { findOnPath } from "../../../src/streams/nats-server/command.js";
import { withGoInstall } from "../../../src/streams/nats-server/go-install.js";
import { GO_MIN_VERSION, GO_PACKAGE, GO_SUM, PINNED_VERSION } from "../../../src/streams/nats-server/pins.js";
import { compareVersions, parseVersion } from "../../../src/streams/nats-server/version.js";
import { bareContext, fakeProgram } from "./fakes.js";

t.test("no Go is no news, an old one is named", async (t) => {
  const dir = t.testdir();
  t.match(await withGoInstall(bareContext(dir).context), {
    kind: "unavailable",
    absent: true,
    reason: "no go on PATH",
  });
  const go = await fakeProgram(join(dir, "bin"), "go", 'echo "go version go1.19.8 linux/amd64"');
  const { context } = bareContext(dir, { env: { PATH: `${dir}/bin` } });
  t.match(await withGoInstall(context), { reason: `${go} is Go 1.19.8, ${PINNED_VERSION} needs ${GO_MIN_VERSION}` });
});

t.test("the compiler runs on our go.mod and go.sum, with the result going to the cache", async (t) => {
  const dir = t.testdir();
  const script = [
    `if [ "$1" = version ]; then echo "go version go${GO_MIN_VERSION} linux/amd64"; exit; fi`,
    `env | sort > ${dir}/env; echo "$@" > ${dir}/args; cp go.mod go.sum ${dir}`,
    `mkdir -p "$GOBIN"; printf '#!/bin/sh\\necho "nats-server: v2.15.0"\\n' > "$GOBIN/nats-server"`,
    `chmod +x "$GOBIN/nats-server"`,
  ];
  await fakeProgram(join(dir, "bin"), "go", script.join("\n"));
  const env = { PATH: `${dir}/bin:/usr/bin:/bin`, HOME: "/home/somebody", GOOS: "plan9", GOFLAGS: "-mod=mod" };
  const { context } = bareContext(join(dir, "cache"), { env });
  t.match(await withGoInstall(context), {
    kind: "found",
    server: { version: "2.15.0", origin: `compiled with Go ${GO_MIN_VERSION}` },
  });
  const seen = readFileSync(join(dir, "env"), "utf8");
  for (const line of ["GOFLAGS=-mod=readonly", "GOTOOLCHAIN=local", "GOWORK=off", "HOME=/home/somebody"])
    t.match(seen, line);
  t.notMatch(seen, "GOOS=");
  t.equal(readFileSync(join(dir, "args"), "utf8"), `install -trimpath -ldflags=-s -w ${GO_PACKAGE}\n`);
  t.equal(readFileSync(join(dir, "go.sum"), "utf8"), GO_SUM);
});

t.test("a failing compiler's last line is the reason", async (t) => {
  const dir = t.testdir();
  const script = `[ "$1" = version ] && echo go${GO_MIN_VERSION} || { echo "verifying module: checksum mismatch" >&2; exit 1; }`;
  const go = await fakeProgram(join(dir, "bin"), "go", script);
  const { context } = bareContext(dir, { env: { PATH: `${dir}/bin` } });
  await t.rejects(withGoInstall(context), {
    message: `${go} install failed (1): verifying module: checksum mismatch`,
  });
});

t.test("the real Go compiles the pinned version", async (t) => {
  const go = await findOnPath("go", process.env["PATH"]);
  const version = go && parseVersion(execFileSync(go, ["version"]).toString());
  if (!go || !version || compareVersions(version, GO_MIN_VERSION) < 0)
    return t.plan(0, `no Go ${GO_MIN_VERSION} or newer on PATH`);
  try {
    const module = [`${GO_PACKAGE}@v${PINNED_VERSION}`];
    execFileSync(go, ["mod", "download", ...module], { cwd: t.testdir(), timeout: 30_000, stdio: "pipe" });
  } catch (error) {
    return t.plan(0, `the Go module proxy is out of reach: ${(error as Error).message.split("\n").at(-2)}`);
  }
  const { context } = bareContext(t.testdir(), { env: process.env, buildTimeoutMs: 300_000 });
  t.match(await withGoInstall(context), { kind: "found", server: { version: PINNED_VERSION } });
});
