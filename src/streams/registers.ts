import { type KV, Kvm } from "@nats-io/kv";
import type { Registers } from "../core/index.js";
import type { Link } from "./connection.js";
import { isWrongLastSequence, logError } from "./failures.js";

const BUCKET = "millrace";

export interface WatchableRegisters extends Registers {
  /** Calls `changed` with each new value of the key until the returned function is called. */
  watch(key: string, changed: (value: Uint8Array, revision: number) => void): Promise<() => void>;
}

/** Registers in a JetStream key-value bucket, created at first use. Errors of all calls: MR_LOG_UNAVAILABLE. */
export function openRegisters({ js }: Link): WatchableRegisters {
  let opening: Promise<KV> | undefined;
  const bucket = async () => {
    opening ??= new Kvm(js).create(BUCKET, { history: 1, storage: "file" } as Parameters<Kvm["create"]>[1]);
    try {
      return await opening;
    } catch (cause) {
      opening = undefined; // the next call tries again
      throw logError(`opening register bucket ${BUCKET}`, cause);
    }
  };
  return {
    async get(key) {
      const kv = await bucket();
      try {
        const entry = await kv.get(toKey(key));
        if (entry === null || entry.operation !== "PUT") return undefined;
        return { value: entry.value, revision: entry.revision };
      } catch (cause) {
        throw logError(`reading register ${key}`, cause);
      }
    },
    async set(key, value, expectedRevision) {
      const kv = await bucket();
      try {
        return await kv.put(toKey(key), value, { previousSeq: expectedRevision });
      } catch (cause) {
        if (isWrongLastSequence(cause)) return undefined;
        throw logError(`writing register ${key} over revision ${expectedRevision}`, cause);
      }
    },
    async watch(key, changed) {
      const kv = await bucket();
      try {
        const entries = await kv.watch({ key: toKey(key) });
        void (async () => {
          for await (const entry of entries) changed(entry.value, entry.revision);
        })();
        return () => entries.stop();
      } catch (cause) {
        throw logError(`watching register ${key}`, cause);
      }
    },
  };
}

/** NATS keys hold `[-/=.A-Za-z0-9_]`; every other character becomes `=` and its UTF-16 code in hex, as does `=` itself. */
function toKey(key: string): string {
  return key.replace(/[^-/\w]/g, (char) => `=${char.charCodeAt(0).toString(16).padStart(4, "0")}`);
}
