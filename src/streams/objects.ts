import { createHash } from "node:crypto";
import { type ObjectStore, Objm, setSha256Backend } from "@nats-io/obj";
import { MillraceError, type Objects } from "../core/index.js";
import type { Link } from "./connection.js";
import { logError } from "./failures.js";

const BUCKET = "millrace";
/** 1 MB chunks with the native hash take 0.75 s for 250 MB; the library's defaults take 6 s. */
const CHUNK_BYTES = 1_000_000;
/** A download whose connection dies in the middle never ends by itself. */
const GET_TIMEOUT_MS = 60_000;

/** Objects in a JetStream object store, created at first use. Errors: MR_LOG_UNAVAILABLE, MR_LOG_FULL, MR_LOG_LOST_DATA. */
export function openObjects({ js }: Link): Objects {
  let opening: Promise<ObjectStore> | undefined;
  const store = async () => {
    setSha256Backend("native");
    opening ??= new Objm(js).create(BUCKET, { storage: "file" } as Parameters<Objm["create"]>[1]);
    try {
      return await opening;
    } catch (cause) {
      opening = undefined; // the next call tries again
      throw logError(`opening object bucket ${BUCKET}`, cause);
    }
  };
  return {
    async put(name, bytes) {
      const objects = await store();
      try {
        // Overwriting can leave metadata that points at nothing when an answer is lost; equal content needs no second write.
        if (await holds(objects, name, bytes)) return;
        await objects.putBlob({ name, options: { max_chunk_size: CHUNK_BYTES } }, bytes);
      } catch (cause) {
        throw logError(`storing object ${name} of ${bytes.length} bytes`, cause);
      }
    },
    async get(name) {
      const objects = await store();
      const bytes = await withTimeout(`reading object ${name}`, objects.getBlob(name));
      return bytes ?? undefined;
    },
    async delete(name) {
      const objects = await store();
      try {
        if (((await objects.info(name))?.deleted ?? true) === false) await objects.delete(name);
      } catch (cause) {
        throw logError(`deleting object ${name}`, cause);
      }
    },
    async list(prefix) {
      const objects = await store();
      try {
        const names = (await objects.list()).filter((info) => !info.deleted).map((info) => info.name);
        return names.filter((name) => name.startsWith(prefix)).sort();
      } catch (cause) {
        throw logError(`listing objects ${prefix}*`, cause);
      }
    },
  };
}

async function holds(objects: ObjectStore, name: string, bytes: Uint8Array): Promise<boolean> {
  const info = await objects.info(name);
  if (info === null || info.deleted || info.size !== bytes.length) return false;
  const digest = createHash("sha256").update(bytes).digest("base64url");
  return info.digest.replace("SHA-256=", "").replace(/=+$/, "") === digest;
}

async function withTimeout<T>(attempt: string, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no end after ${GET_TIMEOUT_MS} ms`)), GET_TIMEOUT_MS);
  });
  try {
    return await Promise.race([work, late]);
  } catch (cause) {
    if (cause instanceof Error && cause.message.includes("corrupt object")) {
      throw new MillraceError("MR_LOG_LOST_DATA", `${attempt}: its bytes do not match its digest`, { cause });
    }
    throw logError(attempt, cause);
  } finally {
    clearTimeout(timer);
  }
}
