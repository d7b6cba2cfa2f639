import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { packageRoot } from "../../src/core/root.js";

/** The folder of the bundled sample. */
export const SAMPLES = join(packageRoot(), "samples");

export interface Delivery {
  readonly at: number;
  readonly event: string;
  readonly delivery: string;
  readonly body: string;
}

export interface Message {
  readonly at: number;
  readonly topic: string;
  readonly payload?: string;
  readonly payloadBase64?: string;
}

export interface Figures {
  readonly sent: number;
  readonly duplicates: number;
  readonly malformed: number;
  readonly stored: number;
}

export interface Source extends Figures {
  readonly firstMs: number;
  readonly lastMs: number;
  readonly files: readonly { path: string; bytes: number; sha256: string; lines: number }[];
  readonly aside: readonly { path: string; bytes: number; sha256: string }[];
}

export interface Manifest {
  readonly seed: string;
  readonly sources: Readonly<Record<"github" | "mine" | "sensors", Source>>;
  readonly domains: Readonly<Record<"github" | "telemetry", Figures>>;
}

export const manifest = (): Manifest => JSON.parse(readFileSync(join(SAMPLES, "manifest.json"), "utf8"));

/** The unpacked text of a sample file. */
export const textOf = (path: string): string => gunzipSync(readFileSync(join(SAMPLES, path))).toString("utf8");

/** The records of a sample file. */
export function recordsOf<Row>(path: string): Row[] {
  return textOf(path)
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
}
