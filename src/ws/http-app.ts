import type { HttpReply, HttpRoute, Logger, Permission } from "../core/index.js";
import { isMillraceError } from "../core/index.js";
import type { Access, AuditResult } from "./access/access.js";
import { type Identity, isPermitted, type Refusal, refused, type Verdict } from "./access/identity.js";
import { seemsLocal } from "./auth.js";
import { DEFAULT_HEADERS, problem, problemOf, refusalReply } from "./problem.js";
import { decodeBody } from "./rest/encoding.js";
import type { StaticFiles } from "./static.js";
import { type HttpApp, type RequestHead, UNREADABLE } from "./transport.js";

export interface HttpAppOptions {
  readonly routes: readonly HttpRoute[];
  readonly files?: StaticFiles | undefined;
  /** Paths that answer 426 to anything but an upgrade. */
  readonly wsPaths: readonly string[];
  /** Paths of streams: the transport answers their GET. @default none */
  readonly streamPaths?: readonly string[];
  readonly access: Access;
  /** True: open routes are open to callers on this machine. False (the port is reachable from other machines): they take a credential too, but for `ALWAYS_OPEN`. */
  readonly loopback: boolean;
  /** A handler that takes longer is answered for with 503. */
  readonly handlerMs: number;
  readonly logger: Logger;
  /** Once per answer. `route` is from a closed set: the route's path, `static`, or `none`. */
  readonly count?: (route: string, status: number) => void;
}

/** What whoever watches the process must be able to ask. */
const ALWAYS_OPEN = new Set(["/healthz", "/livez"]);
/** Who it was and how it ended, for the audit stream. */
interface Line {
  readonly subject: string;
  readonly result: AuditResult;
}

/**
 * Routes by exact path, then static files. Keys are checked before a byte of the body is read; a token not seen
 * before while it is read. HEAD is offered wherever GET is.
 * O(1) a request.
 */
export function createHttpApp(options: HttpAppOptions): HttpApp {
  const { files, access, loopback, logger, count = () => {} } = options;
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
  const needsOf = (route: HttpRoute, head: RequestHead): Permission | undefined => {
    if (route.access === "key") return route.needs ?? "administer";
    const isOpen = route.access === "own" || ALWAYS_OPEN.has(route.path) || (loopback && seemsLocal(head));
    return isOpen ? undefined : (route.needs ?? "status");
  };
  /** Every answer to somebody we know, and every refusal, leaves a line. */
  const audited = (route: HttpRoute, head: RequestHead, { subject, result }: Line, reply: HttpReply): HttpReply => {
    access.audit.record({ subject, address: access.addressOf(head) }, `${route.method} ${route.path}`, result);
    return answered(route.path, reply);
  };
  const refuse = (route: HttpRoute, head: RequestHead, refusal: Refusal, subject = "unknown"): HttpReply =>
    audited(route, head, { subject, result: refusal.why }, refusalReply(refusal));

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
        if (options.streamPaths?.includes(head.path))
          return reply("none", problem(405, "offered here: GET", { headers: { allow: "GET" } }));
        const file = method === "GET" ? files?.reply(head) : undefined;
        if (file) return reply("static", file);
        if (files?.paths.includes(head.path)) return reply("static", notOffered(["GET"]));
        return reply("none", problem(404, `no route for ${head.path.slice(0, 200)}`));
      }
      const route = methods.get(method);
      if (!route) return reply("none", notOffered([...methods.keys()]));
      const needs = needsOf(route, head);
      const { maxBodyBytes } = route;
      const at = route.access === "own" ? "door" : undefined;
      const judged = needs === undefined ? access.anonymous(head, at) : access.identify(head);
      if (judged instanceof Promise) {
        const finish = async (body: Uint8Array) => {
          const decided = decide(route, head, await judged);
          return "refused" in decided ? decided.refused : answerTo(route, head, body, decided.identity);
        };
        return { kind: "body", maxBodyBytes, handle: finish };
      }
      const decided = decide(route, head, judged);
      if ("refused" in decided) return { kind: "reply", reply: decided.refused };
      return { kind: "body", maxBodyBytes, handle: (body) => answerTo(route, head, body, decided.identity) };
    },
    refuseHead: (status) => answered("none", problem(status, UNREADABLE[status])),
    refuseBody(reason, maxBodyBytes) {
      if (reason === "too-large") {
        return answered("none", problem(413, `the body is over ${maxBodyBytes} bytes`, { code: "MR_TOO_LARGE" }));
      }
      if (reason === "bad-length")
        return answered("none", problem(400, "the request line or content-length is not valid"));
      return answered("none", problem(503, "too many bodies are in flight", { headers: { "retry-after": "1" } }));
    },
  };

  /** Whether somebody known may do this. */
  function decide(route: HttpRoute, head: RequestHead, verdict: Verdict) {
    if (verdict.kind === "refused") return { refused: refuse(route, head, verdict) };
    const { identity } = verdict;
    const needs = needsOf(route, head);
    if (needs === undefined || isPermitted(identity, needs)) return { identity };
    const who = identity.role ?? "an API key";
    const refusal = refused(
      403,
      "permission",
      `${who} may not do this: it needs the permission ${needs}, see docs/access.md`,
    );
    return { refused: refuse(route, head, refusal, identity.subject) };
  }

  async function answerTo(route: HttpRoute, head: RequestHead, body: Uint8Array, caller: Identity): Promise<HttpReply> {
    const reply = await decoded(route, head, body, caller);
    const result = reply.status < 400 ? "ok" : "error";
    if (route.access === "own") return audited(route, head, signed(reply), reply);
    if (needsOf(route, head) === undefined) return answered(route.path, reply);
    return audited(route, head, { subject: caller.subject, result }, reply);
  }

  /** Signatures are over the bytes as sent, so doors that check by themselves get those. */
  async function decoded(route: HttpRoute, head: RequestHead, body: Uint8Array, caller: Identity): Promise<HttpReply> {
    const encoding = route.access === "own" ? undefined : head.header("content-encoding");
    if (encoding === undefined) return handle(route, head, body, caller);
    try {
      const plain = await decodeBody(body, encoding, route.maxBodyBytes);
      if (plain.kind === "body") return await handle(route, head, plain.body, caller);
      return problem(415, `content-encoding ${plain.encoding.slice(0, 50)}`, {
        headers: { "accept-encoding": "gzip" },
      });
    } catch (error) {
      return problemOf(error);
    }
  }

  async function handle(route: HttpRoute, head: RequestHead, body: Uint8Array, caller: Identity): Promise<HttpReply> {
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
    const request = { method, path, query, remoteAddress, body, caller, header: (name: string) => head.header(name) };
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

/** What the handler of a door that checks signatures by itself found out. */
function signed({ status }: HttpReply): Line {
  if (status === 401) return { subject: "unknown", result: "bad-credential" };
  return { subject: "signed", result: status < 400 ? "ok" : "error" };
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
