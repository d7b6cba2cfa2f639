import {
  ClosedConnectionError,
  createInbox,
  type Msg,
  type MsgHdrs,
  type NatsConnection,
  NoRespondersError,
  TimeoutError,
} from "nats";

interface Waiting {
  readonly subject: string;
  readonly untilMs: number;
  resolve(answer: Msg): void;
  reject(error: Error): void;
}

/** Messages sent for an answer. The client's own `request` makes an Error and a timer for each, answered or not: half of its cost. */
export interface Answers {
  /** Errors: NoRespondersError, TimeoutError, ClosedConnectionError, and what `publish` throws. */
  ask(subject: string, data: Uint8Array, headers?: MsgHdrs): Promise<Msg>;
}

export function openAnswers(nc: NatsConnection, timeoutMs: number): Answers {
  const inbox = createInbox();
  /** By the last token of the subject they are answered on; the oldest first, as all wait equally long. */
  const waiting = new Map<string, Waiting>();
  let asked = 0;
  let timer: NodeJS.Timeout | undefined;

  const giveUp = (): void => {
    timer = undefined;
    for (const [token, { untilMs, reject }] of waiting) {
      const leftMs = untilMs - performance.now();
      if (leftMs > 0) {
        timer = setTimeout(giveUp, leftMs);
        return;
      }
      waiting.delete(token);
      reject(new TimeoutError());
    }
  };
  nc.subscribe(`${inbox}.*`, {
    callback: (error, message) => {
      if (error !== null) return; // the connection ends
      const token = message.subject.slice(inbox.length + 1);
      const found = waiting.get(token);
      if (found === undefined) return; // too late
      waiting.delete(token);
      if (message.data.length === 0 && message.headers?.code === 503)
        found.reject(new NoRespondersError(found.subject));
      else found.resolve(message);
    },
  });
  void nc.closed().then(() => {
    clearTimeout(timer);
    for (const { reject } of waiting.values()) reject(new ClosedConnectionError());
    waiting.clear();
  });
  return {
    ask: (subject, data, headers) =>
      new Promise((resolve, reject) => {
        const token = String(++asked);
        const reply = `${inbox}.${token}`;
        nc.publish(subject, data, headers === undefined ? { reply } : { reply, headers });
        waiting.set(token, { subject, untilMs: performance.now() + timeoutMs, resolve, reject });
        timer ??= setTimeout(giveUp, timeoutMs);
      }),
  };
}
