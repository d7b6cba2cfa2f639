import { type KV, Kvm } from "@nats-io/kv";
import type { Registers } from "../core/index.js";
import type { Link } from "./connection.js";
import { isWrongLastSequence, logError } from "./failures.js";
import { countSubjects } from "./publish.js";

const BUCKET = "millrace";
const SUBJECT = `$KV.${BUCKET}.`;

/**
 * Registers in a JetStream key-value bucket, created at first use. The leader is asked, never the nearest replica: one that is cut off
 * would answer with what was, and every compare-and-set built on that would be refused. Errors of all calls: MR_LOG_UNAVAILABLE.
 */
export function openRegisters(link: Link): Registers {
  const { js, replicas } = link;
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
      await bucket();
      // By subjects: the client's own list leaves a consumer behind for five minutes, and a stream takes no more than a thousand.
      const subjects = await countSubjects(link, `KV_${BUCKET}`, `${SUBJECT}*`);
      const keys = [...subjects.keys()].map((subject) => fromKey(subject.slice(SUBJECT.length)));
      const wanted = keys.filter((key) => key.startsWith(prefix)).sort();
      const found = await Promise.all(wanted.map(async (key) => ({ key, entry: await this.get(key) })));
      return found.flatMap(({ key, entry }) => (entry === undefined ? [] : [{ key, ...entry }]));
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
