/** A stream that was given messages and did not answer. */
export interface Silence {
  readonly stream: string;
  readonly sinceMs: number;
}

/** Older than this it says nothing about now. */
const FRESH_MS = 60_000;

/** Which streams leave messages unanswered: one may be chance, several in a row with no answer between are not. O(streams). */
export interface Silences {
  missed(subject: string): void;
  answered(subject: string): void;
  /** The longest one that lasts. */
  longest(): Silence | undefined;
  clear(): void;
}

export function trackSilences(nowMs: () => number = Date.now): Silences {
  const silent = new Map<string, { readonly sinceMs: number; lastMs: number; missed: number }>();
  return {
    missed(subject) {
      const stream = streamOf(subject);
      const found = silent.get(stream) ?? { sinceMs: nowMs(), lastMs: 0, missed: 0 };
      found.lastMs = nowMs();
      found.missed += 1;
      silent.set(stream, found);
    },
    answered(subject) {
      if (silent.size > 0) silent.delete(streamOf(subject));
    },
    longest() {
      const lasting = [...silent].filter(([, { missed, lastMs }]) => missed >= 2 && nowMs() - lastMs < FRESH_MS);
      const [longest] = lasting.sort(([, a], [, b]) => a.sinceMs - b.sinceMs);
      return longest && { stream: longest[0], sinceMs: longest[1].sinceMs };
    },
    clear: () => silent.clear(),
  };
}

/** Single events come on `in.<stream>.…`, everything else on `<stream>.…`. */
function streamOf(subject: string): string {
  const [first = "", second = ""] = subject.split(".", 2);
  return first === "in" ? second : first;
}
