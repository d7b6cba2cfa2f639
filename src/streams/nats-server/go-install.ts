import { mkdir, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { keepInCache, withStagingDir } from "./cache.js";
import { findOnPath, runCommand } from "./command.js";
import { GO_MIN_VERSION, GO_MOD, GO_PACKAGE, GO_SUM } from "./pins.js";
import { absent, formatMb, type ObtainContext, type StepResult, unavailable } from "./step.js";
import { compareVersions, parseVersion, readServerVersion } from "./version.js";

/**
 * Compiles the pinned version with the Go of the machine, every module checked against the pinned go.sum. Half a minute on
 * two cores, a second when Go has it cached. Writes to Go's own caches and to ours, nowhere else.
 */
export async function withGoInstall(context: ObtainContext): Promise<StepResult> {
  const { cacheDir, env, platform, pins, report } = context;
  const go = await findOnPath("go", env["PATH"]);
  if (go === undefined) return absent("no go on PATH");
  const { stdout } = await runCommand(go, ["version"], { env: { ...env, GOTOOLCHAIN: "local" }, timeoutMs: 10_000 });
  const goVersion = parseVersion(stdout) ?? "0.0.0";
  if (compareVersions(goVersion, GO_MIN_VERSION) < 0)
    return unavailable(`${go} is Go ${goVersion}, ${pins.version} needs ${GO_MIN_VERSION}`);

  report(`compiling ${GO_PACKAGE}@v${pins.version} with Go ${goVersion} (about half a minute)`);
  const startedMs = performance.now();
  return withStagingDir(cacheDir, async (dir) => {
    const module = join(dir, "module");
    await mkdir(module);
    await writeFile(join(module, "go.mod"), GO_MOD);
    await writeFile(join(module, "go.sum"), GO_SUM);
    await runCommand(go, ["install", "-trimpath", "-ldflags=-s -w", GO_PACKAGE], {
      cwd: module,
      env: goEnvironment(env, join(dir, "bin")),
      timeoutMs: context.buildTimeoutMs,
    });
    const binary = join(dir, "bin", "nats-server");
    const version = await readServerVersion(binary, env);
    const { size } = await stat(binary);
    report(`${formatMb(size)} after ${((performance.now() - startedMs) / 1000).toFixed(1)} s`);
    const path = await keepInCache(cacheDir, { binary, version, platform });
    return { kind: "found", server: { kind: "binary", path, version, origin: `compiled with Go ${goVersion}` } };
  });
}

/** The user's environment, minus what would make `go install` change our go.mod, fetch another Go or put the result elsewhere. */
function goEnvironment(env: NodeJS.ProcessEnv, binDir: string): NodeJS.ProcessEnv {
  const { GOOS: _os, GOARCH: _arch, ...rest } = env;
  return {
    ...rest,
    GOBIN: binDir,
    GOFLAGS: "-mod=readonly",
    GOTOOLCHAIN: "local",
    GOWORK: "off",
    CGO_ENABLED: "0",
  };
}
