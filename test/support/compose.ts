import { execFile } from "node:child_process";
import { existsSync, readdirSync, statSync } from "node:fs";
import { copyFile, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { packageRoot } from "../../src/core/index.js";
import { withStagingDir } from "../../src/streams/nats-server/cache.js";
import { findOnPath } from "../../src/streams/nats-server/command.js";
import { unpackDebianPackage } from "../../src/streams/nats-server/debian-package.js";

const run = promisify(execFile);

export type ComposeSearch =
  | { readonly kind: "found"; readonly command: readonly [string, ...string[]] }
  | { readonly kind: "missing"; readonly reason: string };

/**
 * Docker Compose, which checks files without a daemon: the plugin of the machine, `docker-compose` on PATH, the project's cache,
 * or, with MILLRACE_INSTALL_SYSTEM=1, Debian's package unpacked into that cache.
 */
export async function findCompose(env: NodeJS.ProcessEnv = process.env): Promise<ComposeSearch> {
  const docker = await findOnPath("docker", env["PATH"]);
  if (docker && (await answers([docker, "compose"]))) return { kind: "found", command: [docker, "compose"] };
  const onPath = await findOnPath("docker-compose", env["PATH"]);
  if (onPath && (await answers([onPath]))) return { kind: "found", command: [onPath] };
  const cached = join(packageRoot(), ".cache", "docker-compose", "docker-compose");
  if (existsSync(cached)) return { kind: "found", command: [cached] };
  if (env["MILLRACE_INSTALL_SYSTEM"] !== "1")
    return { kind: "missing", reason: "no docker compose on this machine (MILLRACE_INSTALL_SYSTEM=1 gets Debian's)" };
  return unpackCompose(env, cached);
}

/** A version that has `config --format json`; the docker program without its plugin does not. */
async function answers([file, ...args]: readonly [string, ...string[]]): Promise<boolean> {
  return run(file, [...args, "version"]).then(
    () => true,
    () => false,
  );
}

async function unpackCompose(env: NodeJS.ProcessEnv, target: string): Promise<ComposeSearch> {
  const suites = { debian: "trixie", ubuntu: "devel" };
  return withStagingDir(join(packageRoot(), ".cache"), async (dir): Promise<ComposeSearch> => {
    const wanted = { env, etcDir: "/etc", packageName: "docker-compose", dir, suites, report: () => undefined };
    const unpacked = await unpackDebianPackage(wanted);
    if (typeof unpacked === "string") return { kind: "missing", reason: unpacked };
    const binary = findFile(unpacked.root, "docker-compose");
    if (binary === undefined) return { kind: "missing", reason: `the package of ${unpacked.suite} holds no program` };
    await mkdir(join(target, ".."), { recursive: true });
    await copyFile(binary, target);
    return { kind: "found", command: [target] };
  }).catch((error: Error) => ({ kind: "missing", reason: error.message }));
}

/** The largest regular file of this name: wherever the distribution keeps plugins. */
function findFile(dir: string, name: string): string | undefined {
  const paths = readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name === name)
    .map((entry) => join(entry.parentPath, entry.name));
  return paths.sort((a, b) => statSync(b).size - statSync(a).size)[0];
}
