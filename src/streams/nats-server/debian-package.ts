import { mkdir, readdir, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { keepInCache, withStagingDir } from "./cache.js";
import { findOnPath, isExecutable, runCommand } from "./command.js";
import { type PackageSource, readPackageSource } from "./debian-sources.js";
import { absent, formatMb, type ObtainContext, type StepResult, unavailable } from "./step.js";
import { compareVersions, readServerVersion } from "./version.js";

/** The suite of each distribution that has the newest packages. */
const NEWEST_SUITES = { debian: "sid", ubuntu: "devel" } as const;

export interface UnpackOptions {
  readonly env: NodeJS.ProcessEnv;
  readonly etcDir: string;
  readonly packageName: string;
  /** Where the files of the package appear, with apt's private state beside them. Must exist and be empty. */
  readonly dir: string;
  readonly suites: Readonly<Record<PackageSource["distribution"], string>>;
  readonly report: (line: string) => void;
}

/** Unpacks the distribution's own signed nats-server into the cache. */
export async function fromDebianPackage(context: ObtainContext): Promise<StepResult> {
  const { cacheDir, env, etcDir, pins, platform, report } = context;
  return withStagingDir(cacheDir, async (dir) => {
    const suites = NEWEST_SUITES;
    const unpacked = await unpackDebianPackage({ env, etcDir, packageName: "nats-server", dir, suites, report });
    if (typeof unpacked === "string") return absent(unpacked);
    const binary = await findBinary(unpacked.root, "nats-server");
    const version = await readServerVersion(binary, env);
    if (compareVersions(version, pins.minVersion) < 0)
      return unavailable(`the newest suite has ${version}, ${pins.minVersion} or newer is needed`);
    const path = await keepInCache(cacheDir, { binary, version, platform });
    return { kind: "found", server: { kind: "binary", path, version, origin: `package of ${unpacked.suite}` } };
  });
}

/**
 * Downloads one package, signature and checksum verified by apt-get, and unpacks it with dpkg-deb. Nothing is installed and
 * nothing of the system's apt is used but its sources, keys and download settings: lists, cache and hooks are private.
 * Returns a reason when the machine has no apt-get or is neither Debian nor Ubuntu; rejects with one line when a step fails.
 */
export async function unpackDebianPackage(options: UnpackOptions): Promise<{ root: string; suite: string } | string> {
  const { env, etcDir, packageName, dir, suites, report } = options;
  const aptGet = await findOnPath("apt-get", env["PATH"]);
  const dpkgDeb = await findOnPath("dpkg-deb", env["PATH"]);
  if (aptGet === undefined || dpkgDeb === undefined) return "no apt-get and dpkg-deb on PATH";
  const source = await readPackageSource(etcDir);
  if (source === undefined) return "no package source of Debian or Ubuntu is configured";

  const suite = suites[source.distribution];
  const aptEnv = await preparePrivateApt({ env, dir, source, suite });
  const apt = (args: readonly string[], timeoutMs: number) =>
    runCommand(aptGet, args, { env: aptEnv, timeoutMs, cwd: dir });
  report(`reading the package list of ${source.distribution} ${suite} from ${source.uri}`);
  await apt(["update", "-qq"], 180_000);
  await apt(["download", "-qq", packageName], 180_000);
  const deb = (await readdir(dir)).find((name) => name.endsWith(".deb"));
  if (deb === undefined) throw new Error(`apt-get download ${packageName} left no .deb file`);
  report(`${deb}, ${formatMb((await stat(join(dir, deb))).size)}, signed by ${source.distribution}`);
  const root = join(dir, "root");
  await runCommand(dpkgDeb, ["-x", join(dir, deb), root], { env, timeoutMs: 60_000 });
  return { root, suite: `${source.distribution} ${suite}` };
}

/** Writes the settings of an apt of our own and returns the environment that makes apt-get use them and no others. */
async function preparePrivateApt(options: {
  env: NodeJS.ProcessEnv;
  dir: string;
  source: PackageSource;
  suite: string;
}): Promise<NodeJS.ProcessEnv> {
  const { env, dir, source, suite } = options;
  await mkdir(join(dir, "lists", "partial"), { recursive: true });
  await mkdir(join(dir, "cache", "archives", "partial"), { recursive: true });
  await mkdir(join(dir, "empty"));
  await writeFile(join(dir, "status"), ""); // nothing is installed: dependencies play no part
  const signedBy = source.signedBy ? `[signed-by=${source.signedBy}] ` : "";
  await writeFile(join(dir, "sources.list"), `deb ${signedBy}${source.uri} ${suite} ${source.components.join(" ")}\n`);
  const settings = [
    ...(await acquireSettings(env)),
    `Dir::Etc::sourcelist "${dir}/sources.list";`,
    `Dir::Etc::sourceparts "${dir}/empty";`,
    `Dir::Etc::parts "${dir}/empty";`, // the system's hooks (after update, after install) must not run
    `Dir::Etc::main "/dev/null";`,
    `Dir::State::lists "${dir}/lists";`,
    `Dir::State::status "${dir}/status";`,
    `Dir::Cache "${dir}/cache";`,
    `APT::Sandbox::User "";`, // as root, apt would switch to a user who may not enter our folder
    `Acquire::AllowInsecureRepositories "false";`,
    `Acquire::AllowWeakRepositories "false";`,
    `Acquire::AllowDowngradeToInsecureRepositories "false";`,
    `APT::Get::AllowUnauthenticated "false";`,
    `Acquire::Languages "none";`,
    `APT::Update::Error-Mode "any";`, // else a mirror out of reach is only a warning
    `Acquire::Retries "2";`,
    `Acquire::http::Timeout "20";`,
  ];
  await writeFile(join(dir, "apt.conf"), `${settings.join("\n")}\n`);
  return { ...env, APT_CONFIG: join(dir, "apt.conf"), LC_ALL: "C", DEBIAN_FRONTEND: "noninteractive" };
}

/** The system's own decisions on how to download (proxy, certificates, how old a mirror may be), in apt's own form. */
async function acquireSettings(env: NodeJS.ProcessEnv): Promise<readonly string[]> {
  const aptConfig = await findOnPath("apt-config", env["PATH"]);
  if (aptConfig === undefined) return [];
  const { stdout } = await runCommand(aptConfig, ["dump"], { env, timeoutMs: 10_000 });
  return stdout.split("\n").filter((line) => /^Acquire::(?!IndexTargets|Languages)\S+ ".+";$/.test(line));
}

async function findBinary(root: string, name: string): Promise<string> {
  for (const folder of ["usr/bin", "usr/sbin", "bin", "sbin"]) {
    const path = join(root, folder, name);
    if (await isExecutable(path)) return path;
  }
  throw new Error(`the package holds no program called ${name}`);
}
