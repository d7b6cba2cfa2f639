import { isOriginAllowed } from "../auth.js";
import type { Client, Hub } from "../hub.js";
import { refusalReply } from "../problem.js";
import type { RequestHead, WsAdmission } from "../transport.js";
import type { Access } from "./access.js";
import { type Refusal, refused, type Verdict } from "./identity.js";

/**
 * Lets a WebSocket in: first the page it comes from, then whose it is, then how many there are already. A browser cannot read the answer
 * to a refused WebSocket, so the reasons are in the audit stream too.
 */
export function admission(access: Access, hub: Pick<Hub, "open">, allowedOrigins: readonly string[]) {
  return (head: RequestHead): WsAdmission | Promise<WsAdmission> => {
    const address = access.addressOf(head);
    const refuse = (subject: string, refusal: Refusal): WsAdmission => {
      access.audit.record({ subject, address }, "connect", refusal.why);
      return { kind: "refuse", reply: refusalReply(refusal) };
    };
    const decide = (verdict: Verdict): WsAdmission => {
      if (verdict.kind === "refused") return refuse("unknown", verdict);
      const { identity } = verdict;
      const over = access.mayConnect(identity, address);
      if (over) return refuse(identity.subject, over);
      access.audit.record({ subject: identity.subject, address }, "connect", "ok");
      return {
        kind: "accept",
        open(socket) {
          const client: Client = { identity, address, left: access.enter(identity, address) };
          return hub.open(socket, client);
        },
      };
    };
    if (!isOriginAllowed(head, allowedOrigins))
      return decide(refused(403, "origin", "pages of this origin may not connect"));
    const verdict = access.identify(head);
    return verdict instanceof Promise ? verdict.then(decide) : decide(verdict);
  };
}
