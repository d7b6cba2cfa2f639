import type { HttpReply, HttpRoute, Logger } from "../core/index.js";
import { isMillraceError } from "../core/index.js";
import type { KeyCheck } from "./auth.js";
import { problem, problemOf } from "./problem.js";
import type { StaticFiles } from "./static.js";
import type { HttpApp, RequestHead } from "./transport.js";

export interface HttpAppOptions {
  readonly routes: readonly HttpRoute[];
  readonly files?: StaticFiles | undefined;
  /** Paths that answer 426 to anything but an upgrade. */
  readonly wsPaths: readonly string[];
  readonly hasKey: KeyCheck;
  /** True: open routes are open. False (the port is reachable from other machines): they take the key too, `/healthz` excepted. */
  readonly loopback: boolean;
  /** A handler that takes longer is answered for with 503. */
  readonly handlerMs: number;
  readonly logger: Logger;
  /** Once per answer. `route` is from a closed set: the route's path, `static`, or `none`. */
  readonly count?: (route: string, status: number) => void;
}

const DEFAULT_HEADERS = { "cache-control": "no-store", "x-content-type-options": "nosniff" } as const;

/**
 * Routes by exact path, then static files. Keys are checked before a byte of the body is read. HEAD is offered wherever GET is.
 * O(1) a request.
 */
export function createHttpApp(options: HttpAppOptions): HttpApp {
  const { files, hasKey, loopback, logger, count = () => {} } = options;
  const byPath = new Map<string, Map<string, HttpRoute>>();
  for (const route of options.routes) {
    const methods = byPath.get(route.path) ?? new Map<string, HttpRoute>();
    if (methods.has(route.method)) throw new Error(`two routes for ${route.method} ${route.path}`);
    byPath.set(route.path, methods.set(route.method, route));
  }
  const failures = throttledErrors(logger);

  const answered = (route: string, reply: HttpReply): HttpReply => {
    count(route, reply.status);
    return { ...reply, headers: { ...DEFAULT_HEADERS, ...reply.headers } };
  };
  const needsKey = (route: HttpRoute) =>
    route.access === "key" || (route.access === "open" && !loopback && route.path !== "/healthz");

  return {
    begin(head) {
      const reply = (route: string, answer: HttpReply) => ({ kind: "reply" as const, reply: answered(route, answer) });
      const method = head.method === "HEAD" ? "GET" : head.method;
      const methods = byPath.get(head.path);
      if (!methods) {
        if (options.wsPaths.includes(head.path)) {
          return reply(
            "none",
            problem(426, `${head.path} speaks WebSocket only`, { headers: { upgrade: "websocket" } }),
          );
        }
        const file = method === "GET" ? files?.reply(head) : undefined;
        if (file) return reply("static", file);
        if (files?.paths.includes(head.path)) return reply("static", notOffered(["GET"]));
        return reply("none", problem(404, `no route for ${head.path.slice(0, 200)}`));
      }
      const route = methods.get(method);
      if (!route) return reply("none", notOffered([...methods.keys()]));
      if (needsKey(route) && !hasKey(head)) return reply(route.path, unauthorized());
      return {
        kind: "body",
        maxBodyBytes: route.maxBodyBytes,
        handle: async (body) => answered(route.path, await handle(route, head, body)),
      };
    },
    refuseBody(reason, maxBodyBytes) {
      if (reason === "too-large") {
        return answered("none", problem(413, `the body is over ${maxBodyBytes} bytes`, { code: "MR_TOO_LARGE" }));
      }
      if (reason === "bad-length")
        return answered("none", problem(400, "the request line or content-length is not valid"));
      return answered("none", problem(503, "too many bodies are in flight", { headers: { "retry-after": "1" } }));
    },
  };

  async function handle(route: HttpRoute, head: RequestHead, body: Uint8Array): Promise<HttpReply> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<HttpReply>((resolve) => {
      const headers = { "retry-after": "1" };
      timer = setTimeout(
        () => resolve(problem(503, `no answer within ${options.handlerMs} ms`, { headers })),
        options.handlerMs,
      );
    });
    // Methods of `head` are copied by name: a RequestHead may be a class instance of the transport.
    const { method, path, query, remoteAddress } = head;
    const request = { method, path, query, remoteAddress, body, header: (name: string) => head.header(name) };
    const work = (async () => route.handle(request))().catch((error: unknown) => {
      if (!isMillraceError(error) || problemOf(error).status === 500) failures(route.path, error);
      return problemOf(error);
    });
    try {
      return await Promise.race([work, late]);
    } finally {
      clearTimeout(timer);
    }
  }
}

export function unauthorized(): HttpReply {
  return problem(401, "send the key from <data-dir>/local.key as Authorization: Bearer <key>, or as ?key=<key>", {
    code: "MR_UNAUTHORIZED",
    headers: { "www-authenticate": 'Bearer realm="millrace"' },
  });
}

function notOffered(methods: readonly string[]): HttpReply {
  const offered = methods.flatMap((method) => (method === "GET" ? ["GET", "HEAD"] : [method])).join(", ");
  return problem(405, `offered here: ${offered}`, { headers: { allow: offered } });
}

/** The first failure of a route is logged whole, then their number every 10 s. */
function throttledErrors(logger: Logger): (route: string, error: unknown) => void {
  const silent = new Map<string, number>();
  return (route, err) => {
    const count = silent.get(route);
    if (count !== undefined) {
      silent.set(route, count + 1);
      return;
    }
    logger.error({ err, route }, "a request failed");
    silent.set(route, 0);
    setTimeout(() => {
      const more = silent.get(route) ?? 0;
      silent.delete(route);
      if (more > 0) logger.error({ route, count: more }, "more requests failed");
    }, 10_000).unref();
  };
}
