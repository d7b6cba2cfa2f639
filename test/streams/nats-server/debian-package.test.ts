import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import t, { type Test } from "tap";
import { findOnPath } from "../../../src/streams/nats-server/command.js";
import { fromDebianPackage } from "../../../src/streams/nats-server/debian-package.js";
import { readPackageSource } from "../../../src/streams/nats-server/debian-sources.js";
import { bareContext, fakeProgram } from "./fakes.js";

/** An apt of which only the words are true: "download" leaves a .deb, dpkg-deb "unpacks" a server of `version`. */
async function fakeDebian(t: Test, version: string, update = "true") {
  const dir = t.testdir({
    etc: {
      "os-release": "ID=debian\nVERSION_CODENAME=bookworm\n",
      apt: { "sources.list": "deb [signed-by=/k.gpg] http://m.example/debian bookworm main\n" },
    },
  });
  const bin = join(dir, "bin");
  const apt = [
    `case "$1" in`,
    `  update) cp "$APT_CONFIG" ${dir}/apt.conf; cp sources.list ${dir}/; ${update};;`,
    `  download) echo deb > nats-server_${version}-1_amd64.deb;;`,
    "esac",
  ];
  await fakeProgram(bin, "apt-get", apt.join("\n"));
  await fakeProgram(
    bin,
    "apt-config",
    `echo 'Acquire::http::Proxy "http://proxy:3128";'; echo 'DPkg::Post-Invoke:: "x";'`,
  );
  const unpack = `mkdir -p "$3/usr/sbin"; printf '#!/bin/sh\\necho nats-server: v${version}\\n' > "$3/usr/sbin/nats-server"`;
  await fakeProgram(bin, "dpkg-deb", `${unpack}; chmod +x "$3/usr/sbin/nats-server"`);
  const env = { PATH: `${bin}:/usr/bin:/bin` };
  const cacheDir = join(dir, "cache");
  return { dir, cacheDir, ...bareContext(cacheDir, { env, etcDir: join(dir, "etc") }) };
}

t.test("a new enough package is unpacked with an apt that shares nothing but sources, keys and proxy", async (t) => {
  const { dir, cacheDir, context } = await fakeDebian(t, "2.15.1");
  t.match(await fromDebianPackage(context), {
    kind: "found",
    server: {
      path: join(cacheDir, "nats-server", "2.15.1-linux-x64", "nats-server"),
      version: "2.15.1",
      origin: "package of debian sid",
    },
  });
  t.equal(
    await readFile(join(dir, "sources.list"), "utf8"),
    "deb [signed-by=/k.gpg] http://m.example/debian sid main\n",
  );
  const settings = await readFile(join(dir, "apt.conf"), "utf8");
  t.match(settings, 'Acquire::http::Proxy "http://proxy:3128";', "the proxy is kept");
  t.notMatch(settings, "Post-Invoke", "the hooks are not");
  t.match(settings, /Dir::State::lists "[^"]*staging-/, "lists are private");
  t.same(await readdir(cacheDir), ["nats-server"], "nothing else is left");
});

t.test("each way to fail is one line", async (t) => {
  const old = await fakeDebian(t, "2.9.10");
  t.match(await fromDebianPackage(old.context), {
    kind: "unavailable",
    reason: "the newest suite has 2.9.10, 2.14.0 or newer is needed",
  });
  const offline = await fakeDebian(t, "2.15.1", "echo 'E: Could not resolve m.example' >&2; exit 100");
  await t.rejects(fromDebianPackage(offline.context), {
    message: /^\S+apt-get update failed \(100\): E: Could not resolve m\.example$/,
  });
  const dir = t.testdir({});
  t.match(await fromDebianPackage(bareContext(dir).context), {
    absent: true,
    reason: "no apt-get and dpkg-deb on PATH",
  });
  await mkdir(join(dir, "bin"));
  for (const name of ["apt-get", "dpkg-deb"]) await fakeProgram(join(dir, "bin"), name, "true");
  await writeFile(join(dir, "os-release"), "ID=debian\nVERSION_CODENAME=bookworm\n");
  const { context } = bareContext(dir, { env: { PATH: join(dir, "bin") }, etcDir: dir });
  t.match(await fromDebianPackage(context), {
    absent: true,
    reason: "no package source of Debian or Ubuntu is configured",
  });
});

t.test("the real apt gets the newest package", async (t) => {
  if ((await findOnPath("apt-get", process.env["PATH"])) === undefined) return t.plan(0, "no apt-get on this machine");
  if ((await readPackageSource("/etc")) === undefined)
    return t.plan(0, "no Debian or Ubuntu package source configured");
  const { context } = bareContext(t.testdir(), { env: process.env, etcDir: "/etc" });
  const result = await fromDebianPackage(context).catch((error: Error) => error.message);
  if (typeof result === "string") return t.plan(0, `the package mirror is out of reach: ${result}`);
  t.match(result, { kind: "found", server: { kind: "binary" } });
});
