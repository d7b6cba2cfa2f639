import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { MillraceError, reasonOf } from "../../core/index.js";

/** The stream a source's records end up in; it decides the door they go through. */
export type ReplayStream = "github" | "telemetry";

export interface SampleFile {
  readonly path: string;
  /** False: the bodies keep their own times, only `at` is in sample time. */
  readonly shifted: boolean;
}

/** One origin of the sample, with an offset of its own. */
export interface SampleSource {
  readonly name: string;
  readonly stream: ReplayStream;
  readonly files: readonly SampleFile[];
  readonly firstMs: number;
  readonly lastMs: number;
  /** Records in its files. */
  readonly sent: number;
}

export interface Sample {
  readonly sources: readonly SampleSource[];
  /** Tells one sample from another: 16 hex digits of the manifest's hash. */
  readonly id: string;
}

interface ManifestSource {
  readonly files: readonly { readonly path: string }[];
  readonly firstMs: number;
  readonly lastMs: number;
  readonly sent: number;
}

/** Reads `<directory>/manifest.json`. Errors: MR_OPTION_INVALID. */
export async function readSample(directory: string): Promise<Sample> {
  const path = join(directory, "manifest.json");
  try {
    const text = await readFile(path, "utf8");
    const { sources } = JSON.parse(text) as { sources: Readonly<Record<string, ManifestSource>> };
    return {
      id: createHash("sha256").update(text).digest("hex").slice(0, 16),
      sources: Object.entries(sources).map(([name, source]) => toSource(directory, name, source)),
    };
  } catch (cause) {
    const reason = reasonOf(cause);
    throw new MillraceError("MR_OPTION_INVALID", `reading the sample's manifest ${path}: ${reason}`, { cause });
  }
}

function toSource(directory: string, name: string, { files, firstMs, lastMs, sent }: ManifestSource): SampleSource {
  if (![firstMs, lastMs, sent].every(Number.isSafeInteger) || firstMs > lastMs) {
    throw new Error(`source ${name} needs whole numbers firstMs <= lastMs and sent`);
  }
  return {
    name,
    stream: name === "github" ? "github" : "telemetry",
    files: files.map((file) => ({
      path: join(directory, file.path),
      shifted: !basename(file.path).startsWith("examples"),
    })),
    firstMs,
    lastMs,
    sent,
  };
}
