import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { isMillraceError, type Log, type Logger, systemClock } from "../../core/index.js";

const LOOK_EVERY_MS = 1_000;

/**
 * Puts a configuration into the log as a control message, now and whenever it changes, so that each change has a position there and a
 * replay knows it. What is broken is refused at the start; later it is said, and the former one stays.
 *
 * Errors: MR_OPTION_INVALID of `read` at the start, MR_LOG_UNAVAILABLE and MR_LOG_FULL at the start.
 */
export async function followConfiguration(options: {
  readonly log: Log;
  readonly logger: Logger;
  /** Where it goes: all get the same. */
  readonly subjects: readonly string[];
  /** The file or folder that says it: read again when a time or a size there is another. */
  readonly path: string;
  /** The message's body. */
  readonly read: () => Promise<object>;
  /** What holds where the log has none: saying that is left out. @default nothing does */
  readonly without?: object;
  readonly signal: AbortSignal;
}): Promise<{ readonly ended: Promise<void> }> {
  const { log, logger, subjects, path, read, without, signal } = options;
  let before = "";
  let stampBefore = "";
  const look = async (): Promise<void> => {
    const stamp = await stampOf(path);
    if (stamp === stampBefore) return;
    const text = JSON.stringify(await read());
    if (text !== before) await tell(text);
    before = text;
    stampBefore = stamp;
  };
  const tell = async (text: string): Promise<void> => {
    for (const subject of subjects) {
      const last = await log.last(subject.split(".")[0] as string, subject);
      const known = last === undefined ? JSON.stringify(without) : Buffer.from(last.data).toString();
      if (known !== text) await log.publish({ subject, data: Buffer.from(text) });
    }
  };
  await look();
  const follow = async (): Promise<void> => {
    let complaint = "";
    for (;;) {
      await systemClock.sleep(LOOK_EVERY_MS, signal);
      if (signal.aborted) return;
      try {
        await look();
        if (complaint !== "") logger.info("the configuration is whole again");
        complaint = "";
      } catch (error) {
        if (!isMillraceError(error)) throw error;
        if (complaint !== error.message) logger.warn({ err: error }, "the changed configuration is not taken over");
        complaint = error.message;
      }
    }
  };
  return { ended: follow() };
}

/** Another one after any change of a file, or of a file of a folder. */
async function stampOf(path: string): Promise<string> {
  const found = await stat(path).catch(() => undefined);
  const paths = found?.isDirectory() ? (await readdir(path)).sort().map((name) => join(path, name)) : [path];
  const stamps = paths.map(async (file) => {
    const now = await stat(file, { bigint: true }).catch(() => undefined);
    return `${file} ${now?.ino} ${now?.mtimeNs} ${now?.size}`;
  });
  return (await Promise.all(stamps)).join("\n");
}
