import { MillraceError, type Registers } from "../../core/index.js";

/** A former writer announces blocks for as long as it does not know: it is that much faster at most a few times. */
const TRIES = 20;

/** The rows a writer is about to store in a table: those of the messages `from` to `to`, whole. */
export interface Block {
  /** Largest `_seq` in the table before. */
  readonly after: number;
  readonly from: number;
  readonly to: number;
}

/** A block of a log that a repartition has replaced since. */
export interface FormerBlock {
  readonly incarnation: string;
  readonly from: number;
  readonly to: number;
}

interface Announced extends Partial<Block> {
  readonly incarnation: string;
  readonly writer: string;
  readonly former?: FormerBlock | undefined;
}

export interface Announcer {
  /** What a writer before this one announced and may be storing still; undefined when there is none. */
  readonly before: Block | undefined;
  /** What a writer announced before the log was laid out anew: its insert may still arrive. Known until the first announcement. */
  readonly former: FormerBlock | undefined;
  /**
   * Says which block comes next. Resolves when no other writer can announce one any more that would overlap it.
   * Errors: MR_FENCED when another writer has taken the table over, MR_LOG_UNAVAILABLE.
   */
  announce(block: Block): Promise<void>;
}

/**
 * Takes a table over from whoever wrote it before.
 *
 * A database has no compare-and-set: an insert of a writer that is paused, or dead, may still arrive. So a block is announced in the log
 * before it is sent. Who takes over sends the last announced block again, with the same rows under the same token, and the database takes
 * one of the two; the former writer cannot announce another.
 *
 * Errors: MR_LOG_UNAVAILABLE.
 */
export async function takeOver(options: {
  readonly registers: Registers;
  readonly table: string;
  readonly incarnation: string;
  /** Unlike that of every other writer, also of this program's last run. */
  readonly writer: string;
}): Promise<Announcer> {
  const { registers, table, incarnation, writer } = options;
  const key = `block/${table}`;
  const encoded = (block: Partial<Block>, former?: FormerBlock): Uint8Array =>
    Buffer.from(JSON.stringify({ incarnation, writer, ...block, former } satisfies Announced));
  const set = async (value: Uint8Array, expected: number): Promise<number | undefined> => {
    const done = await registers.set(key, value, expected);
    if (done !== undefined) return done;
    const found = await registers.get(key); // an answer may have been lost
    return found !== undefined && Buffer.compare(found.value, value) === 0 ? found.revision : undefined;
  };

  for (let tries = 1; tries <= TRIES; tries++) {
    const found = await registers.get(key);
    const last = found && (JSON.parse(Buffer.from(found.value).toString()) as Announced);
    const block = last && blockOf(last);
    const isOurs = last?.incarnation === incarnation;
    const before = isOurs ? block : undefined;
    const former = isOurs || !block ? last?.former : { incarnation: last.incarnation, from: block.from, to: block.to };
    const taken = await set(encoded(before ?? {}, former), found?.revision ?? 0);
    if (taken === undefined) continue; // the former writer was faster: with its block
    let revision = taken;
    return {
      before,
      former,
      async announce(block) {
        const next = await set(encoded(block), revision);
        if (next === undefined)
          throw new MillraceError(
            "MR_FENCED",
            `storing ${table} ${block.from}-${block.to}: another writer has taken it over`,
          );
        revision = next;
      },
    };
  }
  throw new MillraceError("MR_LOG_UNAVAILABLE", `taking ${table} over: in ${TRIES} tries another writer was faster`);
}

function blockOf({ after, from, to }: Announced): Block | undefined {
  return after === undefined || from === undefined || to === undefined ? undefined : { after, from, to };
}

/** Under which the database takes a block once: the first, and the next one where it knows a token and has none of the rows. */
export function tokensOf(table: string, { incarnation, from, to }: FormerBlock): readonly [string, ...string[]] {
  const token = `${table}/${incarnation}/${from}-${to}`;
  return [token, `${token}+`, `${token}++`, `${token}+++`];
}
