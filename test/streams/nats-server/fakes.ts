import { chmod, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { MIN_VERSION, PINNED_VERSION, RELEASE_ARCHIVES } from "../../../src/streams/nats-server/pins.js";
import type { ObtainContext } from "../../../src/streams/nats-server/step.js";

/** Writes an executable shell script and returns its path. */
export async function fakeProgram(dir: string, name: string, script: string): Promise<string> {
  await mkdir(dir, { recursive: true });
  const path = join(dir, name);
  await writeFile(path, `#!/bin/sh\n${script}\n`);
  await chmod(path, 0o755);
  return path;
}

/** A "nats-server" that only knows its version. */
export function fakeServer(dir: string, version: string): Promise<string> {
  return fakeProgram(dir, "nats-server", `echo "nats-server: v${version}"`);
}

/** A context in which nothing outside `cacheDir` exists, and the list its reports end up in. */
export function bareContext(
  cacheDir: string,
  changes: Partial<ObtainContext> = {},
): { context: ObtainContext; lines: string[] } {
  const lines: string[] = [];
  const context: ObtainContext = {
    env: { PATH: "" },
    cacheDir,
    platform: "linux-x64",
    etcDir: join(cacheDir, "no-etc"),
    pins: {
      minVersion: MIN_VERSION,
      version: PINNED_VERSION,
      releasesUrl: "http://127.0.0.1:9/nothing-listens-here",
      archives: RELEASE_ARCHIVES,
    },
    downloadTimeoutMs: 5_000,
    buildTimeoutMs: 5_000,
    report: (line) => lines.push(line),
    ...changes,
  };
  return { context, lines };
}
