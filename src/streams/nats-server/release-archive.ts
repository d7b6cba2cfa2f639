import { createHash } from "node:crypto";
import { chmod, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { keepInCache, withStagingDir } from "./cache.js";
import { formatMb, type ObtainContext, type StepResult, unavailable } from "./step.js";
import { readServerVersion } from "./version.js";

/** 4 times today's size: a server that answers with something endless must not fill the memory. */
const MAX_ARCHIVE_BYTES = 64 << 20;
const TAR_BLOCK_BYTES = 512;

/** Downloads the official release archive and keeps its server, if the archive has exactly the pinned SHA-256. */
export async function fromReleaseArchive(context: ObtainContext): Promise<StepResult> {
  const { cacheDir, env, pins, platform, report } = context;
  const archive = pins.archives[platform];
  if (archive === undefined) return unavailable(`no pinned checksum for ${platform}, skipped`);
  const name = `nats-server-v${pins.version}-${archive.target}.tar.gz`;
  const url = `${pins.releasesUrl}/v${pins.version}/${name}`;

  report(`downloading ${url}`);
  const startedMs = performance.now();
  const bytes = await download(url, context.downloadTimeoutMs);
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  if (sha256 !== archive.sha256)
    return unavailable(`${name} has SHA-256 ${sha256}, pinned is ${archive.sha256}; not used`);
  report(`${formatMb(bytes.length)} in ${((performance.now() - startedMs) / 1000).toFixed(1)} s, SHA-256 as pinned`);

  return withStagingDir(cacheDir, async (dir) => {
    const binary = join(dir, "nats-server");
    await writeFile(binary, extractFile(gunzipSync(bytes), "nats-server"));
    await chmod(binary, 0o755);
    const version = await readServerVersion(binary, env);
    const path = await keepInCache(cacheDir, { binary, version, platform });
    return { kind: "found", server: { kind: "binary", path, version, origin: "release archive" } };
  });
}

async function download(url: string, timeoutMs: number): Promise<Buffer> {
  const response = await fetch(url, { signal: AbortSignal.timeout(timeoutMs) }).catch((cause: unknown) => {
    throw new Error(`cannot reach ${new URL(url).host}: ${reasonOf(cause)}`, { cause });
  });
  if (!response.ok || response.body === null) throw new Error(`${url} answered ${response.status}`);
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
    size += chunk.length;
    if (size > MAX_ARCHIVE_BYTES) throw new Error(`${url} is larger than ${formatMb(MAX_ARCHIVE_BYTES)}, not used`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** fetch() says only "fetch failed"; the reason is in the cause. */
function reasonOf(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined;
  return cause instanceof Error ? cause.message : String(error instanceof Error ? error.message : error);
}

/** The content of the regular file of a tar archive whose last path segment is `name` (POSIX ustar, 512-byte blocks). */
export function extractFile(tar: Buffer, name: string): Buffer {
  for (let at = 0; at + TAR_BLOCK_BYTES <= tar.length; ) {
    const path = textAt(tar, at, 100);
    if (path === "") break; // two zero blocks end the archive
    const sizeBytes = Number.parseInt(textAt(tar, at + 124, 12), 8);
    const start = at + TAR_BLOCK_BYTES;
    const isFile = tar[at + 156] === 0x30 || tar[at + 156] === 0; // "0", or NUL in the oldest format
    if (isFile && path.split("/").at(-1) === name) return tar.subarray(start, start + sizeBytes);
    at = start + Math.ceil(sizeBytes / TAR_BLOCK_BYTES) * TAR_BLOCK_BYTES;
    if (Number.isNaN(at)) break;
  }
  throw new Error(`the archive holds no file called ${name}`);
}

function textAt(tar: Buffer, start: number, length: number): string {
  const end = tar.indexOf(0, start);
  return tar.toString("latin1", start, end === -1 || end > start + length ? start + length : end).trim();
}
