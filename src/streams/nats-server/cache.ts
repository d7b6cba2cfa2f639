import { mkdir, mkdtemp, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { isExecutable } from "./command.js";
import { compareVersions } from "./version.js";

/** Node's names for the machine: "linux-x64", "darwin-arm64". */
export const THIS_PLATFORM = `${process.platform}-${process.arch}`;

export interface CachedServer {
  readonly version: string;
  readonly path: string;
}

/**
 * The servers below `<cacheDir>/nats-server/<version>-<platform>/`. Newest first. A folder is complete as soon as it has its
 * name (`keepInCache` renames), so an interrupted download is never found.
 */
export async function listCached(cacheDir: string, platform: string): Promise<readonly CachedServer[]> {
  const root = join(cacheDir, "nats-server");
  const names = await readdir(root).catch(() => []);
  const found: CachedServer[] = [];
  for (const name of names) {
    const version = /^(\d+\.\d+\.\d+)-(.+)$/.exec(name);
    const path = join(root, name, "nats-server");
    if (version?.[1] && version[2] === platform && (await isExecutable(path)))
      found.push({ version: version[1], path });
  }
  return found.sort((a, b) => compareVersions(b.version, a.version));
}

/** Calls `work` with a new empty folder inside the cache, on the file system of its final place, and removes it afterwards. */
export async function withStagingDir<T>(cacheDir: string, work: (dir: string) => Promise<T>): Promise<T> {
  await mkdir(cacheDir, { recursive: true });
  const dir = await mkdtemp(join(cacheDir, "staging-"));
  try {
    return await work(dir);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

/** Moves a finished binary to its place in the cache and returns the path. One that is there stays. */
export async function keepInCache(
  cacheDir: string,
  { binary, version, platform }: { binary: string; version: string; platform: string },
): Promise<string> {
  const home = join(cacheDir, "nats-server", `${version}-${platform}`);
  const path = join(home, "nats-server");
  await withStagingDir(cacheDir, async (dir) => {
    await rename(binary, join(dir, "nats-server"));
    await mkdir(join(cacheDir, "nats-server"), { recursive: true });
    if (await isExecutable(path)) return;
    await rm(home, { recursive: true, force: true }); // what is there does not run
    await rename(dir, home);
  });
  return path;
}
