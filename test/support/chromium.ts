import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";

export type ChromiumSearch =
  | { readonly kind: "found"; readonly path: string }
  | { readonly kind: "missing"; readonly reason: string };

const NAMES = ["chromium", "chromium-browser", "google-chrome"];

/** A Chromium of the machine: CHROMIUM_BIN, else the usual names on PATH. The reason is what a skipped test prints. */
export function findChromium(env: NodeJS.ProcessEnv = process.env): ChromiumSearch {
  const given = env["CHROMIUM_BIN"];
  if (given) {
    if (isExecutable(given)) return { kind: "found", path: given };
    return { kind: "missing", reason: `CHROMIUM_BIN is ${given}, which cannot be executed` };
  }
  const directories = (env["PATH"] ?? "").split(delimiter).filter((directory) => directory !== "");
  const candidates = NAMES.flatMap((name) => directories.map((directory) => join(directory, name)));
  const path = candidates.find(isExecutable);
  if (path !== undefined) return { kind: "found", path };
  return {
    kind: "missing",
    reason: `no Chromium: CHROMIUM_BIN is not set and none of ${NAMES.join(", ")} is on PATH (MILLRACE_INSTALL_SYSTEM=1 installs it on Debian)`,
  };
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** What the browser would fetch for itself would only be refused, noisily. */
export const CHROMIUM_FLAGS: readonly string[] = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
