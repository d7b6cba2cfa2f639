import { isMillraceError, MillraceError, reasonOf } from "../../core/index.js";
import { listCached, THIS_PLATFORM } from "./cache.js";
import { findOnPath } from "./command.js";
import { fromDebianPackage } from "./debian-package.js";
import { withGoInstall } from "./go-install.js";
import { MIN_VERSION, PINNED_VERSION, RELEASE_ARCHIVES, RELEASES_URL } from "./pins.js";
import { fromReleaseArchive } from "./release-archive.js";
import { absent, type FoundServer, type ObtainContext, type StepResult, unavailable } from "./step.js";
import { compareVersions, readServerVersion } from "./version.js";

export interface ObtainOptions {
  /** The environment the user started us with: NATS_URL, NATS_SERVER_BIN, PATH, and what go and apt-get need. */
  readonly env: NodeJS.ProcessEnv;
  /** The project's cache folder, created when something is kept. */
  readonly cacheDir: string;
  /** Progress, one line each. */
  readonly report: (line: string) => void;
  /** Look, but fetch nothing. @default false */
  readonly offline?: boolean;
}

/** The first routes look at what is here; those after them fetch. */
const LOCAL_ROUTES = 4;

/** The routes to a server, in the order they are tried: what is given, what is there, what can be fetched. */
export const ROUTES: readonly {
  readonly name: string;
  readonly take: (context: ObtainContext) => Promise<StepResult>;
}[] = [
  { name: "NATS_URL", take: fromUrl },
  { name: "NATS_SERVER_BIN", take: fromGivenBinary },
  { name: "PATH", take: fromPath },
  { name: "cache", take: fromCache },
  { name: "release archive", take: fromReleaseArchive },
  { name: "go install", take: withGoInstall },
  { name: "Debian package", take: fromDebianPackage },
];

/**
 * Finds nats-server, or obtains it without touching the system. Each route that fails says why in one line.
 * Errors: MR_BINARY_MISSING, listing what was tried and three ways out.
 */
export async function obtainNatsServer(options: ObtainOptions): Promise<FoundServer> {
  return takeFirst(options.offline ? ROUTES.slice(0, LOCAL_ROUTES) : ROUTES, {
    ...options,
    platform: THIS_PLATFORM,
    etcDir: "/etc",
    pins: {
      minVersion: MIN_VERSION,
      version: PINNED_VERSION,
      releasesUrl: RELEASES_URL,
      archives: RELEASE_ARCHIVES,
    },
    downloadTimeoutMs: 120_000,
    buildTimeoutMs: 600_000,
  });
}

/** Takes the routes in order until one ends at a server. */
export async function takeFirst(routes: typeof ROUTES, context: ObtainContext): Promise<FoundServer> {
  const reasons: string[] = [];
  for (const { name, take } of routes) {
    const said = (line: string): void => context.report(`nats-server, ${name}: ${line}`);
    const result = await take({ ...context, report: said }).catch((error: unknown) => {
      if (isMillraceError(error)) throw error;
      return unavailable(reasonOf(error));
    });
    if (result.kind === "found") return result.server;
    reasons.push(`${name}: ${result.reason}`);
    if (!result.absent) said(result.reason);
  }
  throw new MillraceError("MR_BINARY_MISSING", failureText(reasons, context));
}

function failureText(reasons: readonly string[], { cacheDir, pins, platform }: ObtainContext): string {
  return [
    `no nats-server ${pins.minVersion} or newer could be found or obtained:`,
    ...reasons.map((reason) => `  - ${reason}`),
    "three ways out:",
    `  1. install nats-server (https://github.com/nats-io/nats-server/releases) and put it on PATH, or name it in NATS_SERVER_BIN`,
    `  2. copy a nats-server from another machine to ${cacheDir}/nats-server/${pins.version}-${platform}/nats-server`,
    "  3. set NATS_URL to a running server with JetStream, for example: docker run -p 4222:4222 nats:2.15 -js",
  ].join("\n");
}

async function fromUrl({ env }: ObtainContext): Promise<StepResult> {
  const url = env["NATS_URL"];
  return url ? { kind: "found", server: { kind: "url", url } } : absent("not set");
}

async function fromGivenBinary(context: ObtainContext): Promise<StepResult> {
  const path = context.env["NATS_SERVER_BIN"];
  return path ? ifNewEnough(path, "NATS_SERVER_BIN", context) : absent("not set");
}

async function fromPath(context: ObtainContext): Promise<StepResult> {
  const path = await findOnPath("nats-server", context.env["PATH"]);
  return path ? ifNewEnough(path, "PATH", context) : absent("no nats-server there");
}

async function fromCache(context: ObtainContext): Promise<StepResult> {
  let result = absent(`none in ${context.cacheDir}`);
  for (const { path } of await listCached(context.cacheDir, context.platform)) {
    result = await ifNewEnough(path, "cache", context).catch((error: Error) => unavailable(error.message));
    if (result.kind === "found") break;
  }
  return result;
}

async function ifNewEnough(path: string, origin: string, { env, pins }: ObtainContext): Promise<StepResult> {
  const version = await readServerVersion(path, env);
  if (compareVersions(version, pins.minVersion) < 0)
    return unavailable(`${path} is ${version}, ${pins.minVersion} or newer is needed`);
  return { kind: "found", server: { kind: "binary", path, version, origin } };
}
