import { statfs } from "node:fs/promises";
import { createServer } from "node:net";
import { dirname, resolve } from "node:path";
import { Command } from "commander";
import type { Config } from "../core/index.js";
import { cacheDir } from "./cache-dir.js";
import { loadConfig } from "./config.js";
import { EXIT } from "./exit.js";
import { probes } from "./probes.js";
import { readInstance } from "./up/instance.js";

export interface Finding {
  readonly check: string;
  readonly ok: boolean;
  readonly found: string;
  /** How to mend it; empty when nothing is wrong. */
  readonly fix: string;
}

const MIN_FREE_BYTES = 2 * 1024 ** 3;

export function doctorCommand(): Command {
  return new Command("doctor")
    .description("check Node, binaries, ports, disk and servers, and say how to mend what is wrong")
    .option("--json", "print the findings as JSON")
    .option("--data-dir <path>", "data directory to look at")
    .option("--port <port>", "HTTP port to check")
    .option("--mqtt-port <port>", "MQTT port to check")
    .addHelpText("after", "\nExample:\n  millrace doctor --json\n\nExit code 3 when a check fails.")
    .action(async (options: Record<string, string | boolean>) => {
      const { json, ...flags } = options;
      const findings = await examine(loadConfig(flags));
      process.stdout.write(json ? `${JSON.stringify(findings)}\n` : `${findings.map(line).join("\n")}\n`);
      if (findings.some((finding) => !finding.ok)) process.exitCode = EXIT.found;
    });
}

/** Runs every check; none of them changes anything. */
export async function examine(config: Config): Promise<readonly Finding[]> {
  const running = readInstance(config.dataDir);
  const findings = [node(), await disk(config.dataDir)];
  if (running?.url) findings.push(await answers(running.url));
  else
    findings.push(
      await portFree("port", config.host, config.port),
      await portFree("mqttPort", "127.0.0.1", config.mqttPort),
    );
  for (const probe of probes) findings.push(await probe(config, cacheDir()));
  return findings;
}

function line({ check, ok, found, fix }: Finding): string {
  return `${ok ? "ok  " : "FAIL"}  ${check.padEnd(22)}  ${found}${fix ? `\n      ${"".padEnd(22)}  -> ${fix}` : ""}`;
}

function node(): Finding {
  const major = Number(process.versions.node.split(".")[0]);
  const ok = major >= 20;
  return { check: "Node.js", ok, found: process.versions.node, fix: ok ? "" : "install Node.js 20 or newer" };
}

async function disk(dataDir: string): Promise<Finding> {
  let folder = resolve(dataDir);
  for (;;) {
    try {
      const { bavail, bsize } = await statfs(folder);
      const freeBytes = bavail * bsize;
      const ok = freeBytes >= MIN_FREE_BYTES;
      const fix = ok ? "" : "free some space, or choose another disk with --data-dir";
      return { check: "free disk", ok, found: `${(freeBytes / 1024 ** 3).toFixed(1)} GiB at ${folder}`, fix };
    } catch (error) {
      if (folder === dirname(folder))
        return { check: "free disk", ok: false, found: (error as Error).message, fix: "choose another --data-dir" };
      folder = dirname(folder);
    }
  }
}

async function portFree(option: string, host: string, port: number): Promise<Finding> {
  const flag = option === "port" ? "--port" : "--mqtt-port";
  const check = `${flag} ${port}`;
  if (port === 0) return { check, ok: true, found: "any free port", fix: "" };
  return new Promise((done) => {
    const server = createServer();
    server.once("error", (error: NodeJS.ErrnoException) => {
      done({
        check,
        ok: false,
        found: `${host}:${port}: ${error.code}`,
        fix: `choose another with ${flag}, or 0 for any free port`,
      });
    });
    server.listen(port, host, () =>
      server.close(() => done({ check, ok: true, found: `${host}:${port} is free`, fix: "" })),
    );
  });
}

async function answers(url: string): Promise<Finding> {
  const check = "running instance";
  try {
    const response = await fetch(`${url}/readyz`);
    const fix = response.ok ? "" : `it is not ready: ${await response.text()}`;
    return { check, ok: response.ok, found: `${url} answers ${response.status}`, fix };
  } catch (error) {
    return {
      check,
      ok: false,
      found: `${url}: ${(error as Error).message}`,
      fix: 'it ended without cleaning up; "millrace up" will',
    };
  }
}
