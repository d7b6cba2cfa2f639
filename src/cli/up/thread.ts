import { once } from "node:events";
import { totalmem } from "node:os";
import { setFlagsFromString } from "node:v8";
import { parentPort, Worker } from "node:worker_threads";
import { type ErrorCode, isMillraceError, MillraceError, reasonOf } from "../../core/index.js";

/** How long a thread may take to end what it is doing before it is terminated. */
const STOP_MS = 3_000;

/** What a thread's heap may hold, with what belongs to it outside, before all of it is looked through: 256, or a 32nd of the memory there is. */
const HEAP_MB = Math.min(
  256,
  Math.ceil(Math.min(totalmem(), process.constrainedMemory() || Number.POSITIVE_INFINITY) / 2 ** 25),
);

type Request = { readonly id: number; readonly method: string; readonly params: unknown };
type Failure = { readonly message: string; readonly code: ErrorCode | undefined };
type FromThread =
  | { readonly kind: "ready" }
  | { readonly kind: "status"; readonly status: unknown }
  | { readonly kind: "reply"; readonly id: number; readonly result: unknown; readonly failure: Failure | undefined }
  | { readonly kind: "failed"; readonly failure: Failure };

/** A worker thread that answers requests and reports its status. */
export class Thread<Status> {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>();
  readonly #ready: Promise<void>;
  #nextId = 1;
  #ended = false;
  /** The newest status; undefined before the first. */
  status: Status | undefined;

  /** `onFailure` is told once if the thread ends without being asked to. */
  constructor(url: URL, workerData: unknown, onFailure: (error: Error) => void) {
    setHeapFlags();
    this.#worker = new Worker(url, { workerData });
    let ready: () => void = () => undefined;
    let failed: (error: Error) => void = () => undefined;
    this.#ready = new Promise((resolve, reject) => {
      ready = resolve;
      failed = reject;
    });
    this.#ready.catch(() => undefined); // the failure also reaches onFailure
    const fail = (error: Error): void => {
      if (this.#ended) return;
      this.#ended = true;
      failed(error);
      for (const { reject } of this.#waiting.values()) reject(error);
      onFailure(error);
      void this.#worker.terminate(); // what its start had opened would keep the process alive
    };
    this.#worker.on("error", fail);
    this.#worker.on("exit", (code) => fail(new Error(`${url.pathname.split("/").at(-1)} ended with code ${code}`)));
    this.#worker.on("message", (message: FromThread) => {
      if (message.kind === "ready") ready();
      else if (message.kind === "status") this.status = message.status as Status;
      else if (message.kind === "failed") fail(revive(message.failure));
      else this.#settle(message.id, message.result, message.failure);
    });
  }

  /** Resolves when the thread has started its work. */
  ready(): Promise<void> {
    return this.#ready;
  }

  request<Result>(method: string, params: unknown): Promise<Result> {
    if (this.#ended)
      return Promise.reject(new MillraceError("MR_SINK_UNAVAILABLE", `asking for ${method}: the thread has ended`));
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve: resolve as (value: unknown) => void, reject });
      this.#worker.postMessage({ id, method, params } satisfies Request);
    });
  }

  /** Asks the thread to finish, waits, terminates it if it does not. Safe to call twice. */
  async stop(): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    const exited = once(this.#worker, "exit");
    this.#worker.postMessage({ id: 0, method: "stop", params: undefined } satisfies Request);
    const timer = setTimeout(() => void this.#worker.terminate(), STOP_MS);
    await exited;
    clearTimeout(timer);
  }

  #settle(id: number, result: unknown, failure: Failure | undefined): void {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (failure) waiting?.reject(revive(failure));
    else waiting?.resolve(result);
  }
}

/**
 * How V8 collects garbage: of the whole process, and of the threads made from now on where it is about a heap's size.
 *
 * It takes from a burst, while much waits, that rows live long, and makes them among the old ones from then on: at 100,000 events a
 * second that was 40 MB a second, and all of the heap looked through once a second for it. Rows are gone within ms.
 *
 * And it looks through all of a small heap whenever some 30 MB came outside of it: messages that were read, a snapshot's bytes. During
 * a snapshot of a million keys that was seven times, a quarter of what the snapshot cost.
 */
function setHeapFlags(): void {
  setFlagsFromString("--no-allocation-site-pretenuring");
  setFlagsFromString(`--initial-old-space-size=${HEAP_MB}`);
}

export interface ThreadWork<Status> {
  readonly status: () => Status;
  readonly handlers: Readonly<Record<string, (params: never) => Promise<unknown>>>;
  /** Ends everything; the thread exits when this resolves. */
  readonly stop: () => Promise<void>;
}

const STATUS_EVERY_MS = 250;

/** The thread's side: starts the work, answers requests, posts its status, stops when asked. */
export async function serveThread<Status>(start: () => Promise<ThreadWork<Status>>): Promise<void> {
  const port = parentPort;
  if (!port) throw new Error("serveThread runs in a worker thread only");
  const post = (message: FromThread): void => port.postMessage(message);
  let work: ThreadWork<Status>;
  try {
    work = await start();
  } catch (error) {
    post({ kind: "failed", failure: describe(error) });
    port.close();
    return;
  }
  const report = (): void => post({ kind: "status", status: work.status() });
  const timer = setInterval(report, STATUS_EVERY_MS);
  port.on("message", async ({ id, method, params }: Request) => {
    if (method === "stop") {
      clearInterval(timer);
      await work.stop();
      report();
      port.close();
      return;
    }
    try {
      const handler = work.handlers[method];
      if (!handler) throw new Error(`no such request: ${method}`);
      post({ kind: "reply", id, result: await handler(params as never), failure: undefined });
    } catch (error) {
      post({ kind: "reply", id, result: undefined, failure: describe(error) });
    }
  });
  report();
  post({ kind: "ready" });
}

function describe(error: unknown): Failure {
  return {
    message: reasonOf(error),
    code: isMillraceError(error) ? error.code : undefined,
  };
}

function revive({ message, code }: Failure): Error {
  return code ? new MillraceError(code, message) : new Error(message);
}
