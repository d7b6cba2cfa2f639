import { existsSync, readFileSync } from "node:fs";
import { chmod, mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import t from "tap";
import { keepInCache, listCached, withStagingDir } from "../../../src/streams/nats-server/cache.js";
import { fakeServer } from "./fakes.js";

t.test("listCached finds this platform's servers, newest first", async (t) => {
  const dir = t.testdir();
  t.same(await listCached(dir, "linux-x64"), [], "an empty cache is no error");
  for (const name of ["2.9.10-linux-x64", "2.15.1-linux-x64", "2.15.0-darwin-arm64", "staging-linux-x64"])
    await fakeServer(join(dir, "nats-server", name), "2.0.0");
  await mkdir(join(dir, "nats-server", "2.16.0-linux-x64"), { recursive: true }); // a folder without a server
  t.same(
    (await listCached(dir, "linux-x64")).map(({ version }) => version),
    ["2.15.1", "2.9.10"],
  );
});

t.test(
  "keepInCache moves a binary to its place; one that is there stays, one that does not run is replaced",
  async (t) => {
    const dir = t.testdir();
    const keep = (content: string): Promise<string> =>
      withStagingDir(dir, async (staging) => {
        const binary = join(staging, "nats-server");
        await writeFile(binary, content);
        await chmod(binary, 0o755);
        return keepInCache(dir, { binary, version: "2.15.0", platform: "linux-x64" });
      });
    const home = join(dir, "nats-server", "2.15.0-linux-x64");
    await mkdir(home, { recursive: true });
    await writeFile(join(home, "nats-server"), "left by a crash, not executable");
    const path = await keep("first");
    t.equal(path, join(home, "nats-server"));
    t.equal(await keep("second"), path);
    t.equal(readFileSync(path, "utf8"), "first");
    t.same(await readdir(dir), ["nats-server"], "no staging folder is left");
  },
);

t.test("withStagingDir removes its folder when the work fails", async (t) => {
  const dir = t.testdir();
  let staging = "";
  const failing = withStagingDir(dir, async (created) => {
    staging = created;
    throw new Error("half way");
  });
  await t.rejects(failing, { message: "half way" });
  t.equal(existsSync(staging), false);
});
