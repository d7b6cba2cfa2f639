import { connect } from "nats";
import { SYSTEM_USER } from "./config.js";

/** A look is over by then: a server that is up answers from memory. */
const ANSWER_MS = 2_000;

interface Health {
  readonly data: { readonly errors?: readonly { readonly type: string; readonly error: string }[] };
}

/**
 * What a server of ours cannot write any more, in its own words. A write that fails, on a full disk for one, closes its stream's store
 * for good: what is published there is not even answered, room or not, until the server is started again. Nothing that was acknowledged is touched.
 * Undefined while the server does not answer.
 */
export async function writeFailures(url: string, password: string): Promise<readonly string[] | undefined> {
  try {
    const options = { servers: url, user: SYSTEM_USER, pass: password, name: "millrace-health" };
    const nc = await connect({ ...options, reconnect: false, timeout: ANSWER_MS });
    try {
      const asked = JSON.stringify({ details: true });
      const answer = await nc.request("$SYS.REQ.SERVER.PING.HEALTHZ", asked, { timeout: ANSWER_MS });
      const errors = answer.json<Health>().data.errors ?? [];
      return errors
        .filter(({ type, error }) => type === "JETSTREAM" || error.includes("write error"))
        .map(({ error }) => error);
    } finally {
      await nc.close();
    }
  } catch {
    return undefined;
  }
}
