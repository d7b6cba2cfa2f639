/** Bytes of request bodies held in memory, over all connections of a server. */
export interface BodyBudget {
  used: number;
  readonly max: number;
}

export interface BodyCollector {
  /** Copies `chunk`. Anything but "ok" is final: nothing is held any more and the request is to be refused. */
  push(chunk: Uint8Array): "ok" | "too-large" | "busy";
  /** The whole body. Its bytes stay in the budget until `release`. */
  take(): Uint8Array;
  /** Gives the bytes back to the budget. Safe to call twice. */
  release(): void;
}

/** Collects one body under its own limit and the server's. Memory: what was pushed, twice for the moment of `take`. */
export function bodyCollector(maxBytes: number, budget: BodyBudget): BodyCollector {
  let chunks: Uint8Array[] = [];
  let size = 0;
  let held = 0;
  const release = () => {
    chunks = [];
    budget.used -= held;
    held = 0;
  };
  return {
    push(chunk) {
      size += chunk.byteLength;
      const verdict = size > maxBytes ? "too-large" : budget.used + chunk.byteLength > budget.max ? "busy" : "ok";
      if (verdict !== "ok") {
        release();
        return verdict;
      }
      budget.used += chunk.byteLength;
      held += chunk.byteLength;
      chunks.push(Uint8Array.prototype.slice.call(chunk)); // native chunks are emptied when the callback returns
      return "ok";
    },
    take() {
      const [only] = chunks;
      if (only && chunks.length === 1) return only;
      return Buffer.concat(chunks);
    },
    release,
  };
}

/** The declared length of a body: undefined when there is none, NaN when it is not a number. */
export function declaredLength(header: string | undefined): number | undefined {
  if (header === undefined || header === "") return undefined;
  return /^\d{1,15}$/.test(header) ? Number(header) : Number.NaN;
}
