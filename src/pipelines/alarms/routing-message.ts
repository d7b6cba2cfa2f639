import type { Routing } from "../../operators/index.js";

/** The body of `desk.0._ctl.routing`: the compiled configuration, checked by whoever sent it, so that each change has its place in the log. */
export interface RoutingMessage {
  readonly schema: "millrace.routing/1";
  readonly routing: Routing;
}

/** Throws when it is something else. */
export function readRouting(body: unknown): Routing {
  const { schema, routing } = body as Partial<RoutingMessage>;
  if (schema !== "millrace.routing/1" || routing === undefined)
    throw new TypeError(`a routing message must be millrace.routing/1, got ${schema}`);
  return routing;
}
