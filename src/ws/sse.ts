import type { Access } from "./access/access.js";
import { admission } from "./access/admission.js";
import type { Hub } from "./hub.js";
import { readClientFrame } from "./parse.js";
import { problem } from "./problem.js";
import type { SubscribeFrame } from "./protocol.js";
import type { RequestHead, StreamEndpoint, WsAdmission } from "./transport.js";

/**
 * `/sse`: one subscription as server-sent events, for clients that cannot have a WebSocket. What a WebSocket would say in its request is
 * in the address; `Last-Event-ID`, which an EventSource sends by itself, says where it stopped.
 */
export function sseEndpoint(options: {
  readonly access: Access;
  readonly hub: Hub;
  readonly allowedOrigins: readonly string[];
}): StreamEndpoint {
  const { access, hub, allowedOrigins } = options;
  return {
    path: "/sse",
    admit(head) {
      const read = readRequest(head);
      const admit = admission(
        access,
        { open: (socket, client) => hub.subscribe(socket, client, read.frame) },
        allowedOrigins,
      );
      const check = (admitted: WsAdmission): WsAdmission => {
        if (admitted.kind === "refuse") return admitted;
        if (read.refusal !== undefined) return { kind: "refuse", reply: problem(400, read.refusal) };
        if (!hub.hasChannel(read.frame.channel))
          return { kind: "refuse", reply: problem(404, `channels are ${hub.channels}`) };
        return admitted;
      };
      const admitted = admit(head);
      return admitted instanceof Promise ? admitted.then(check) : check(admitted);
    },
  };
}

/** Only used when there is no refusal. */
const NOTHING: SubscribeFrame = { op: "subscribe", id: 0, channel: "" };

function readRequest(head: RequestHead): { readonly frame: SubscribeFrame; readonly refusal?: string } {
  const { query } = head;
  const number = (name: string) => (query.has(name) ? { [name]: Number(query.get(name)) } : {});
  const place = head.header("last-event-id") ?? query.get("since");
  let filter: unknown;
  try {
    filter = JSON.parse(query.get("filter") ?? "null");
  } catch {
    return { frame: NOTHING, refusal: "filter: not JSON" };
  }
  const parsed = readClientFrame({
    op: "subscribe",
    id: 0,
    channel: query.get("channel") ?? undefined,
    ...(filter === null ? {} : { filter }),
    ...(query.has("delivery") ? { delivery: query.get("delivery") } : {}),
    ...number("everyMs"),
    ...number("flushMs"),
    ...(place ? { since: readPlace(place) } : {}),
  });
  if (parsed.kind === "error") return { frame: NOTHING, refusal: parsed.error.message };
  return { frame: parsed.frame as SubscribeFrame };
}

/** `<epoch>:<offset>`; anything else is left for the schema to refuse. */
function readPlace(text: string): { epoch: string; offset: number } {
  const colon = text.lastIndexOf(":");
  return { epoch: text.slice(0, Math.max(0, colon)), offset: Number(text.slice(colon + 1) || Number.NaN) };
}
