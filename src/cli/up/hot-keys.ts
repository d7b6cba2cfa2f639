import type { LogMessage } from "../../core/index.js";

/** Counters kept; a key that makes up more than a share of 1/64 is among them for certain. */
const CAPACITY = 64;
const SHOWN = 10;
/** Every so many messages counts: what matters here are keys with a large share. */
const SAMPLE = 8;

export interface HotKey {
  readonly key: string;
  /** Of the task's messages since it started, an estimate. */
  readonly share01: number;
}

/** Which keys a task's input is made of. By the tokens of its subjects: a pack counts for its partition, not for its keys. */
export interface HotKeys {
  see(messages: LogMessage): void;
  /** The ten largest, largest first. */
  top(): readonly HotKey[];
}

/** Space-saving (Metwally, Agrawal, El Abbadi, 2005): counts are at most messages / 64 too high. O(64) for a new key. */
export function createHotKeys(): HotKeys {
  const counts = new Map<string, number>();
  let seen = 0;
  let counted = 0;
  return {
    see({ subject }) {
      if (seen++ % SAMPLE !== 0) return;
      const key = keyOf(subject);
      if (key === undefined) return;
      counted++;
      const known = counts.get(key);
      if (known !== undefined || counts.size < CAPACITY) {
        counts.set(key, (known ?? 0) + 1);
        return;
      }
      let smallest = "";
      let least = Number.POSITIVE_INFINITY;
      for (const [name, count] of counts) if (count < least) [smallest, least] = [name, count];
      counts.delete(smallest);
      counts.set(key, least + 1);
    },
    top: () =>
      [...counts]
        .sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1))
        .slice(0, SHOWN)
        .map(([key, count]) => ({ key, share01: count / counted })),
  };
}

const LABEL_LENGTH = 64;

/**
 * Hot keys as labels of a metric: keys come from outside, so they are cut to 64 characters, and what is neither a letter, a digit nor
 * one of `_.-/@` becomes `_`. Keys that are alike then count as one. At most ten, whatever was given.
 */
export function labelled(hotKeys: readonly HotKey[]): readonly HotKey[] {
  const shares = new Map<string, number>();
  for (const { key, share01 } of hotKeys.slice(0, SHOWN)) {
    const label = key.replace(/[^\p{L}\p{N}_.\-/@]/gu, "_");
    const cut = [...label].slice(0, LABEL_LENGTH).join("");
    shares.set(cut, (shares.get(cut) ?? 0) + share01);
  }
  return [...shares].map(([key, share01]) => ({ key, share01 }));
}

/** The tokens the stream is partitioned by: `site.equipment`, `owner.repo`. Undefined for ticks, marks and control messages. */
function keyOf(subject: string): string | undefined {
  const [, , first, second] = subject.split(".", 5);
  return first === undefined || first.startsWith("_") ? undefined : second === undefined ? first : `${first}.${second}`;
}
