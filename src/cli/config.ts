import { readFileSync } from "node:fs";
import { parseDocument } from "yaml";
import {
  CONFIG_HELP,
  type Config,
  type ConfigKey,
  type ConfigSource,
  MillraceError,
  resolveConfig,
} from "../core/index.js";

const FILE = "millrace.yaml";
const keys = Object.keys(CONFIG_HELP) as ConfigKey[];

/** `mqttPort` as a flag: `--mqtt-port`. */
export function flagName(key: string): string {
  return `--${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

/**
 * One precedence: flags, then the environment, then `millrace.yaml` in the working directory, then defaults.
 * The only place that reads `process.env`.
 */
export function loadConfig(
  flags: Readonly<Record<string, unknown>>,
  env: NodeJS.ProcessEnv = process.env,
  cwd = ".",
): Config {
  const fromEnv = Object.fromEntries(keys.map((key) => [key, env[CONFIG_HELP[key].env] || undefined]));
  const sources: ConfigSource[] = [
    { label: flagName, values: Object.fromEntries(keys.map((key) => [key, flags[key]])) },
    { label: (key) => CONFIG_HELP[key as ConfigKey].env, values: fromEnv },
    { label: (key) => `${FILE}, ${key}`, values: readFile(`${cwd}/${FILE}`) },
  ];
  return resolveConfig(sources);
}

function readFile(path: string): Record<string, unknown> {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return {};
    throw new MillraceError("MR_OPTION_INVALID", `reading ${FILE}: ${(error as Error).message}`, { cause: error });
  }
  const document = parseDocument(text);
  const fault = document.errors[0];
  if (fault) {
    const { line, col } = fault.linePos?.[0] ?? { line: 1, col: 1 };
    throw new MillraceError("MR_OPTION_INVALID", `${FILE}:${line}:${col}: ${fault.message.split("\n")[0]}`);
  }
  const values: unknown = document.toJS() ?? {};
  if (typeof values !== "object" || Array.isArray(values)) {
    throw new MillraceError(
      "MR_OPTION_INVALID",
      `${FILE}: must be a list of "option: value" lines, such as "port: 8080"`,
    );
  }
  return values as Record<string, unknown>;
}
