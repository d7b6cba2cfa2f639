import { type KV, Kvm } from "@nats-io/kv";
import type { Registers } from "../core/index.js";
import type { Link } from "./connection.js";
import { isWrongLastSequence, logError } from "./failures.js";

const BUCKET = "millrace";

/**
 * Registers in a JetStream key-value bucket, created at first use. The leader is asked, never the nearest replica: one that is cut off
 * would answer with what was, and every compare-and-set built on that would be refused. Errors of all calls: MR_LOG_UNAVAILABLE.
 */
export function openRegisters({ js, replicas }: Link): Registers {
  let opening: Promise<KV> | undefined;
  const bucket = async () => {
    const wanted = { history: 1, storage: "file", replicas, allow_direct: false };
    opening ??= new Kvm(js).create(BUCKET, wanted as Parameters<Kvm["create"]>[1]);
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
        if (expectedRevision === 0) return await kv.create(toKey(key), value); // also over the marker of one that was removed
        return await kv.put(toKey(key), value, { previousSeq: expectedRevision });
      } catch (cause) {
        if (isWrongLastSequence(cause)) return undefined;
        throw logError(`writing register ${key} over revision ${expectedRevision}`, cause);
      }
    },
    async remove(key, expectedRevision) {
      const kv = await bucket();
      try {
        await kv.delete(toKey(key), { previousSeq: expectedRevision });
        return true;
      } catch (cause) {
        if (isWrongLastSequence(cause)) return false;
        throw logError(`removing register ${key} at revision ${expectedRevision}`, cause);
      }
    },
    async list(prefix) {
      const kv = await bucket();
      try {
        const names: string[] = [];
        for await (const name of await kv.keys()) names.push(name);
        const wanted = names.map(fromKey).filter((key) => key.startsWith(prefix));
        const found = await Promise.all(wanted.sort().map(async (key) => ({ key, entry: await this.get(key) })));
        return found.flatMap(({ key, entry }) => (entry === undefined ? [] : [{ key, ...entry }]));
      } catch (cause) {
        throw logError(`listing registers ${prefix}`, cause);
      }
    },
  };
}

/** NATS keys hold `[-/=.A-Za-z0-9_]`; every other character becomes `=` and its UTF-16 code in hex, as does `=` itself. */
function toKey(key: string): string {
  return key.replace(/[^-/\w]/g, (char) => `=${char.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

function fromKey(name: string): string {
  return name.replace(/=([0-9a-f]{4})/g, (_, code: string) => String.fromCharCode(Number.parseInt(code, 16)));
}
