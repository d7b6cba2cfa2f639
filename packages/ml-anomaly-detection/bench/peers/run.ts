import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export interface PeerReport {
  /** Why there is no comparison, when there is none. */
  readonly skipped?: string;
  readonly ratios?: Readonly<Record<string, readonly PeerRatio[]>>;
}

export interface PeerRatio {
  readonly peer: string;
  /** Rows a second. */
  readonly peerRate: number;
  readonly ours: number;
  readonly ratio: number;
}

/**
 * Runs peers.py on the same rows in a virtual environment (kept in the temporary folder, or the one that
 * ANOMALY_PEERS_VENV names) and divides. Where Python or its packages are out of reach it says so.
 */
export function peers(
  rows8: readonly Float64Array[],
  values: Float64Array,
  ours: readonly { name: string; best: number }[],
): PeerReport {
  const here = fileURLToPath(new URL("../../../bench/peers/", import.meta.url));
  const requirements = join(here, "requirements.txt");
  const versions = createHash("sha256").update(readFileSync(requirements)).digest("hex").slice(0, 8);
  const venv = process.env["ANOMALY_PEERS_VENV"] ?? join(tmpdir(), `ml-anomaly-detection-peers-${versions}`);
  const python = join(venv, "bin", "python");
  if (!existsSync(python)) {
    const made = spawnSync("python3", ["-m", "venv", venv], { encoding: "utf8" });
    if (made.status !== 0) return { skipped: `no virtual environment: ${made.error?.message ?? made.stderr}` };
    const installed = spawnSync(python, ["-m", "pip", "install", "-q", "-r", requirements], {
      encoding: "utf8",
      timeout: 600_000,
    });
    if (installed.status !== 0) rmSync(venv, { recursive: true }); // the next run tries again
    if (installed.status !== 0)
      return { skipped: `Python packages are not reachable: ${installed.stderr.slice(-300)}` };
  }
  const input = JSON.stringify({
    rows8: rows8.slice(0, 4500).map((row) => [...row]),
    values: [...values.subarray(0, 20_000)],
    names: ours.map(({ name }) => name),
  });
  const ran = spawnSync(python, [join(here, "peers.py")], { input, encoding: "utf8", maxBuffer: 1e8 });
  if (ran.status !== 0) return { skipped: `peers.py failed: ${ran.stderr.slice(-300)}` };
  const rates = JSON.parse(ran.stdout) as Record<string, { peer: string; rate: number }[]>;
  const ratios: Record<string, PeerRatio[]> = {};
  for (const { name, best } of ours) {
    const found = rates[name]?.map(({ peer, rate }) => ({
      peer,
      peerRate: Math.round(rate),
      ours: best,
      ratio: Math.round((10 * best) / rate) / 10,
    }));
    if (found !== undefined) ratios[name] = found;
  }
  return { ratios };
}
