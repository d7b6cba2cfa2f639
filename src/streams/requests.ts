import { type ErrorCode, isMillraceError, MillraceError, reasonOf } from "../core/index.js";
import type { Link } from "./connection.js";
import { isNobody, logError } from "./failures.js";

/** Devices may publish below `millrace.v1` only: nobody without the log's password gets here. */
const PREFIX = "millrace.ask.";

type Answer =
  | { readonly kind: "result"; readonly result: unknown }
  | { readonly kind: "failed"; readonly message: string; readonly code: ErrorCode | undefined };

/** Questions between the processes of one log: JSON over the server, not stored. */
export interface Requests {
  /**
   * Answers `name` from now on until the returned function is called. What the handler throws reaches the asker, a MillraceError
   * with its code. Several may serve a name: `ask` then reaches any of them, `askAll` each.
   */
  serve(name: string, handler: (body: never) => Promise<unknown>): () => void;
  /** One answer. Errors: MR_LOG_UNAVAILABLE (nobody serves it, or no answer in time); what the handler threw. */
  ask<Result>(name: string, body?: unknown, timeoutMs?: number): Promise<Result>;
  /** Every answer that comes within `waitMs`; failures are left out. Errors: MR_LOG_UNAVAILABLE (not connected). */
  askAll<Result>(name: string, body?: unknown, waitMs?: number): Promise<readonly Result[]>;
}

export function openRequests({ nc, timeoutMs: usualMs }: Link): Requests {
  return {
    serve(name, handler) {
      const subscription = nc.subscribe(PREFIX + name, {
        callback: (error, message) => {
          if (error !== null) return; // the connection ends: so does the subscription
          void answer(handler, message.data).then((reply) => {
            if (!nc.isClosed()) message.respond(reply);
          });
        },
      });
      return () => {
        if (!nc.isClosed()) subscription.unsubscribe();
      };
    },

    async ask(name, body = null, timeoutMs = usualMs) {
      const reply = await nc.request(PREFIX + name, encode(body), { timeout: timeoutMs }).catch((cause: unknown) => {
        throw logError(`asking for ${name}`, cause);
      });
      return take(reply.json<Answer>());
    },

    async askAll<Result>(name: string, body: unknown = null, waitMs = 500) {
      const found: Result[] = [];
      try {
        for await (const reply of await nc.requestMany(PREFIX + name, encode(body), {
          strategy: "timer",
          maxWait: waitMs,
        })) {
          const said = reply.json<Answer>();
          if (said.kind === "result") found.push(said.result as Result);
        }
      } catch (cause) {
        if (!isNobody(cause)) throw logError(`asking all for ${name}`, cause);
      }
      return found;
    },
  };
}

async function answer(handler: (body: never) => Promise<unknown>, data: Uint8Array): Promise<Uint8Array> {
  try {
    const result = await handler(JSON.parse(Buffer.from(data).toString()) as never);
    return encode({ kind: "result", result: result ?? null } satisfies Answer);
  } catch (error) {
    const message = reasonOf(error);
    return encode({ kind: "failed", message, code: isMillraceError(error) ? error.code : undefined } satisfies Answer);
  }
}

function take<Result>(said: Answer): Result {
  if (said.kind === "result") return said.result as Result;
  throw said.code === undefined ? new Error(said.message) : new MillraceError(said.code, said.message);
}

function encode(value: unknown): Uint8Array {
  return Buffer.from(JSON.stringify(value));
}
