import { createHash } from "node:crypto";
import { DiscardPolicy, RetentionPolicy, StorageType } from "@nats-io/jetstream";
import { encodeToken, MillraceError, type Objects } from "../core/index.js";
import type { Link } from "./connection.js";
import { existsDifferently, logError } from "./failures.js";
import { last, publish } from "./publish.js";

const STREAM = "snapshots";
/** All objects together; the oldest go first. */
const MAX_BYTES = 1024 ** 3;
/** Below the smallest `max_payload` in use (1 MB), headers included. */
const CHUNK_BYTES = 900_000;
const CHUNKS = "Millrace-Chunks";
const SHA256 = "Millrace-Sha256";

/**
 * Immutable objects as messages of a stream of their own, chunks first, the head with count and digest last: an object is there
 * when its head is.
 *
 * Nothing is ever deleted; the stream drops its oldest messages at 1 GiB, so an object lives as long as less than that is written
 * after it. Cheaper than JetStream's object store where objects are small and many: one message instead of three, no purge.
 *
 * Errors: MR_LOG_UNAVAILABLE, MR_LOG_LOST_DATA when bytes and digest differ.
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
      const count = Math.max(1, Math.ceil(bytes.length / CHUNK_BYTES));
      const head = { [CHUNKS]: String(count), [SHA256]: digest(bytes) };
      for (let i = count - 1; i >= 0; i--) {
        const data = bytes.subarray(i * CHUNK_BYTES, (i + 1) * CHUNK_BYTES);
        await publish(link, { subject: subjectOf(name, i), data, ...(i === 0 ? { headers: head } : {}) });
      }
    },

    async get(name) {
      await opened();
      const head = await last(link, STREAM, subjectOf(name, 0));
      if (head === undefined) return undefined;
      const chunks = [head.data];
      for (let i = 1; i < Number(head.header(CHUNKS)); i++) {
        const chunk = await last(link, STREAM, subjectOf(name, i));
        if (chunk === undefined) return undefined; // being dropped: it was the oldest
        chunks.push(chunk.data);
      }
      const bytes = chunks.length === 1 ? head.data : Buffer.concat(chunks);
      if (digest(bytes) === head.header(SHA256)) return bytes;
      throw new MillraceError("MR_LOG_LOST_DATA", `reading object ${name}: its bytes do not match its digest`);
    },
  };
}

function subjectOf(name: string, chunk: number): string {
  return `${STREAM}.${encodeToken(name)}.${chunk}`;
}

function digest(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("base64url");
}

async function create({ jsm }: Link): Promise<void> {
  const config = {
    name: STREAM,
    subjects: [`${STREAM}.*.*`],
    storage: StorageType.File,
    retention: RetentionPolicy.Limits,
    discard: DiscardPolicy.Old,
    max_bytes: MAX_BYTES,
  };
  try {
    await jsm.streams.add(config);
  } catch (cause) {
    if (!existsDifferently(cause)) throw logError(`creating stream ${STREAM}`, cause);
  }
}
