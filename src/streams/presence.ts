import type { Link } from "./connection.js";
import { isNobody } from "./failures.js";

const PREFIX = "millrace.alive.";
/** How long an answer is waited for: whoever does not answer is taken for busy. */
const ANSWER_MS = 100;
/** An answer holds for so long: somebody may hold many names. */
const KNOWN_MS = 150;
/** After a reconnection the others may be on their way back as well. */
const SETTLED_MS = 3_000;

/** Whether those who share the log are connected to it. */
export interface Presence {
  /** Where we are found, for as long as this connection lasts. */
  readonly address: string;
  /**
   * False when nobody listens at the address: its process has ended, or lost its connection. True whenever that is not certain: paused
   * and muted processes count as there. Costs a request every 150 ms at most for each address. Never rejects.
   */
  isThere(address: string): Promise<boolean>;
}

/** The server ends a dead process's subscription with its socket, so a request to it is refused at once. */
export function openPresence({ nc, writer, connected, onReconnect }: Link): Presence {
  const known = new Map<string, { readonly atMs: number; readonly answer: Promise<boolean> }>();
  let sinceMs = Number.NEGATIVE_INFINITY;
  onReconnect(() => {
    sinceMs = performance.now();
  });
  const address = PREFIX + writer;
  nc.subscribe(address, { callback: (error, message) => void (error === null && message.respond()) });
  const ask = async (other: string): Promise<boolean> => {
    try {
      await nc.request(other, undefined, { timeout: ANSWER_MS });
      return true;
    } catch (error) {
      return !isNobody(error) || !connected();
    }
  };
  return {
    address,
    isThere(other) {
      const now = performance.now();
      if (now - sinceMs < SETTLED_MS) return Promise.resolve(true);
      const found = known.get(other);
      if (found !== undefined && now - found.atMs < KNOWN_MS) return found.answer;
      const answer = ask(other);
      known.set(other, { atMs: now, answer });
      if (known.size > 256) known.delete(known.keys().next().value as string);
      return answer;
    },
  };
}
