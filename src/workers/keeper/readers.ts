import { MillraceError, type Registers } from "../../core/index.js";

const PREFIX = "reader/";
const TRIES = 20;

interface Named {
  readonly stream: string;
  readonly name: string;
}

/**
 * Who still needs what is in a stream: nothing after its position may be forgotten. A `task` commits its position with each snapshot, a
 * worker that answers requests with its `marker`; whoever else reads says its position here. What was `forgotten` by hand needs
 * nothing, and its markers are dead, until it registers again.
 */
export type Reader =
  | (Named & { readonly kind: "task" | "marker" | "forgotten" })
  | (Named & { readonly kind: "position"; readonly incarnation: string; readonly position: number });

/** Registers a reader, or moves its position. Registering again changes nothing. Errors: MR_LOG_UNAVAILABLE. */
export async function registerReader(registers: Registers, reader: Reader): Promise<void> {
  const key = keyOf(reader);
  const { stream: _stream, name: _name, ...kept } = reader;
  const value = Buffer.from(JSON.stringify(kept));
  for (let tries = 1; ; tries++) {
    const current = await registers.get(key);
    if (current !== undefined && Buffer.from(current.value).equals(value)) return;
    if ((await registers.set(key, value, current?.revision ?? 0)) !== undefined) return;
    if (tries === TRIES) throw new MillraceError("MR_LOG_UNAVAILABLE", `registering ${key}: others kept changing it`);
  }
}

/** By stream and name. Errors: MR_LOG_UNAVAILABLE. */
export async function listReaders(registers: Registers): Promise<readonly Reader[]> {
  const found = await registers.list(PREFIX);
  return found.map(({ key, value }) => {
    const [stream = "", ...name] = key.slice(PREFIX.length).split("/");
    return { stream, name: name.join("/"), ...JSON.parse(Buffer.from(value).toString()) } as Reader;
  });
}

/** What it has not read may then be purged. Resolves with whether there was such a reader. Errors: MR_LOG_UNAVAILABLE. */
export async function forgetReader(registers: Registers, stream: string, name: string): Promise<boolean> {
  if ((await registers.get(keyOf({ stream, name }))) === undefined) return false;
  await registerReader(registers, { stream, name, kind: "forgotten" });
  return true;
}

function keyOf({ stream, name }: Named): string {
  return `${PREFIX}${stream}/${name}`;
}
