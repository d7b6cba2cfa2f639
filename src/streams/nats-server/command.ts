import { execFile } from "node:child_process";
import { constants } from "node:fs";
import { access } from "node:fs/promises";
import { delimiter, join } from "node:path";

export interface CommandOptions {
  /** The whole environment of the child: nothing is inherited. */
  readonly env: NodeJS.ProcessEnv;
  /** The child is killed after this long. */
  readonly timeoutMs: number;
  readonly cwd?: string;
}

export interface CommandOutput {
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program without a shell. Rejects with one line: the program, how it ended and the last line it wrote. */
export function runCommand(file: string, args: readonly string[], options: CommandOptions): Promise<CommandOutput> {
  const { env, timeoutMs, cwd } = options;
  return new Promise((resolve, reject) => {
    const done = (error: Error | null, stdout: string, stderr: string): void => {
      if (error === null) return resolve({ stdout, stderr });
      const { killed, code, signal } = error as { killed?: boolean; code?: number | string | null; signal?: string };
      const how = killed
        ? `gave no result within ${timeoutMs / 1000} s`
        : `failed (${code ?? signal ?? error.message})`;
      const said = lastLine(stderr) ?? lastLine(stdout);
      reject(new Error(`${[file, args[0]].join(" ").trim()} ${how}${said ? `: ${said}` : ""}`, { cause: error }));
    };
    execFile(file, args, { env, cwd, timeout: timeoutMs, killSignal: "SIGKILL", maxBuffer: 16 << 20 }, done);
  });
}

/** The first file called `name` in the directories of `pathVariable` that may be executed, or undefined. */
export async function findOnPath(name: string, pathVariable: string | undefined): Promise<string | undefined> {
  for (const directory of (pathVariable ?? "").split(delimiter)) {
    if (directory === "") continue;
    const candidate = join(directory, name);
    if (await isExecutable(candidate)) return candidate;
  }
  return undefined;
}

export async function isExecutable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}

function lastLine(text: string): string | undefined {
  return text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "")
    .at(-1);
}
