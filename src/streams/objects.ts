import { createHash } from "node:crypto";
import { DiscardPolicy, RetentionPolicy, StorageType } from "@nats-io/jetstream";
import { decodeToken, encodeToken, MillraceError, type Objects } from "../core/index.js";
import type { Link } from "./connection.js";
import { existsDifferently, logError } from "./failures.js";
import { countSubjects, last, publish } from "./publish.js";

const STREAM = "snapshots";
/** All objects together. */
const MAX_BYTES = 2 * 1024 ** 3;
/** Below the smallest `max_payload` in use (1 MB), headers included. */
const CHUNK_BYTES = 900_000;
/** Read side by side: most of a read is waiting. */
const CHUNKS_AT_ONCE = 8;
const CHUNKS = "Millrace-Chunks";
const SHA256 = "Millrace-Sha256";

/**
 * Immutable objects as messages of a stream of their own, chunks first, the head with count and digest last: an object is there
 * when its head is.
 *
 * The stream refuses when it is full; removing an object purges its messages. Cheaper than JetStream's object store where objects
 * are small and many: one message instead of three.
 *
 * Errors: MR_LOG_FULL, MR_LOG_UNAVAILABLE, MR_LOG_LOST_DATA when bytes and digest differ.
 */
export function openObjects(link: Link): Objects {
  let opening: Promise<void> | undefined;
  const opened = async (): Promise<void> => {
    opening ??= create(link);
    try {
      await opening;
    } catch (error) {
      opening = undefined; // the next call tries again
      throw error;
    }
  };
  return {
    async put(name, bytes) {
      await opened();
      const chunks = chunksOf(bytes instanceof Uint8Array ? [bytes] : bytes);
      const hash = createHash("sha256");
      for (const [i, data] of chunks.entries()) {
        hash.update(data);
        // Sent while it is in the cache; until the answer comes others on this thread have their turn.
        if (i > 0) await publish(link, { subject: subjectOf(name, i), data });
      }
      const headers = { [CHUNKS]: String(chunks.length), [SHA256]: hash.digest("base64url") };
      await publish(link, { subject: subjectOf(name, 0), data: chunks[0] as Uint8Array, headers });
    },

    async get(name) {
      await opened();
      const head = await last(link, STREAM, subjectOf(name, 0));
      if (head === undefined) return undefined;
      const chunks = [head.data];
      for (let from = 1, end = Number(head.header(CHUNKS)); from < end; from += CHUNKS_AT_ONCE) {
        const wanted = Array.from({ length: Math.min(CHUNKS_AT_ONCE, end - from) }, (_, i) =>
          chunkOf(link, name, from + i),
        );
        for (const chunk of await Promise.all(wanted)) {
          if (chunk === undefined) return undefined; // being removed
          chunks.push(chunk);
        }
      }
      const bytes = chunks.length === 1 ? head.data : Buffer.concat(chunks);
      if (createHash("sha256").update(bytes).digest("base64url") === head.header(SHA256)) return bytes;
      throw new MillraceError("MR_LOG_LOST_DATA", `reading object ${name}: its bytes do not match its digest`);
    },

    async remove(name) {
      await opened();
      try {
        await link.jsm.streams.purge(STREAM, { filter: subjectOf(name, 0) }); // first the head: without it there is no object
        await link.jsm.streams.purge(STREAM, { filter: `${STREAM}.${encodeToken(name)}.*` });
      } catch (cause) {
        throw logError(`removing object ${name}`, cause);
      }
    },

    async list(prefix) {
      await opened();
      const subjects = [...(await countSubjects(link, STREAM, `${STREAM}.*.0`)).keys()];
      const names = subjects.map((subject) => decodeToken(subject.split(".")[1] ?? ""));
      return names.filter((name) => name.startsWith(prefix)).sort();
    },
  };
}

/** Straight from a replica's store where it has it; the leader's answer would be base64 in JSON, ten times the work. */
async function chunkOf(link: Link, name: string, chunk: number): Promise<Uint8Array | undefined> {
  const subject = subjectOf(name, chunk);
  const direct = await link.jsm.direct.getMessage(STREAM, { last_by_subj: subject }).catch(() => null);
  return direct?.data ?? (await last(link, STREAM, subject))?.data;
}

/** The parts' bytes in pieces of at most CHUNK_BYTES, one at least. */
function chunksOf(parts: readonly Uint8Array[]): readonly Uint8Array[] {
  const chunks: Uint8Array[] = [];
  let waiting: Uint8Array[] = [];
  let bytes = 0;
  const cut = () => {
    chunks.push(waiting.length === 1 ? (waiting[0] as Uint8Array) : Buffer.concat(waiting, bytes));
    waiting = [];
    bytes = 0;
  };
  for (const part of parts) {
    for (let from = 0; from < part.length; ) {
      const piece = part.subarray(from, from + CHUNK_BYTES - bytes);
      waiting.push(piece);
      bytes += piece.length;
      from += piece.length;
      if (bytes === CHUNK_BYTES) cut();
    }
  }
  if (bytes > 0 || chunks.length === 0) cut();
  return chunks;
}

function subjectOf(name: string, chunk: number): string {
  return `${STREAM}.${encodeToken(name)}.${chunk}`;
}

async function create({ jsm, replicas }: Link): Promise<void> {
  const config = {
    name: STREAM,
    subjects: [`${STREAM}.*.*`],
    storage: StorageType.File,
    retention: RetentionPolicy.Limits,
    discard: DiscardPolicy.New,
    max_bytes: MAX_BYTES,
    allow_direct: true,
    num_replicas: replicas,
  };
  try {
    await jsm.streams.add(config);
  } catch (cause) {
    if (!existsDifferently(cause)) throw logError(`creating stream ${STREAM}`, cause);
    const { discard, max_bytes, allow_direct } = config;
    await jsm.streams.update(STREAM, { discard, max_bytes, allow_direct }).catch((cause: unknown) => {
      throw logError(`changing stream ${STREAM} to discard: ${discard}`, cause);
    });
  }
}
