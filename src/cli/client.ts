import { readFileSync } from "node:fs";
import { join } from "node:path";
import { MillraceError } from "../core/index.js";
import { type Instance, readInstance } from "./up/instance.js";

/** A running `millrace up`, reached over its own HTTP API. */
export interface RunningInstance extends Instance {
  readonly key: string;
}

/** Errors: MR_OPTION_INVALID when nothing runs on this data directory. */
export function findInstance(dataDir: string): RunningInstance {
  const instance = readInstance(dataDir);
  if (!instance?.url) {
    throw new MillraceError(
      "MR_OPTION_INVALID",
      `no running instance found in ${dataDir}: start one with "millrace up", or name its --data-dir`,
    );
  }
  return { ...instance, key: readSecret(dataDir, "local.key") };
}

export function readSecret(dataDir: string, name: string): string {
  return readFileSync(join(dataDir, name), "utf8").trim();
}

export interface QueryAnswer {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly unknown[])[];
  readonly truncated: boolean;
  readonly elapsedMs: number;
}

/** Read-only SQL through `POST /api/v1/query`: the embedded database belongs to the running process. */
export async function querySql({ url, key }: RunningInstance, sql: string): Promise<QueryAnswer> {
  const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" };
  let response: Response;
  try {
    response = await fetch(`${url}/api/v1/query`, { method: "POST", headers, body: JSON.stringify({ sql }) });
  } catch (cause) {
    throw new MillraceError("MR_OPTION_INVALID", `asking ${url}: nobody answers there; start "millrace up" again`, {
      cause,
    });
  }
  const body = (await response.json()) as QueryAnswer & { detail?: string };
  if (!response.ok)
    throw new MillraceError("MR_QUERY_REFUSED", body.detail ?? `the query was answered ${response.status}`);
  return body;
}
