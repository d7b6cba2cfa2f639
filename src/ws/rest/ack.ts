import { createHash } from "node:crypto";
import { type HttpReply, type HttpRoute, type Log, type OperatorCommand, readAckLink } from "../../core/index.js";
import { storeOnce } from "./commands.js";
import { markup } from "./page.js";

const BODY_BYTES_MOST = 4 << 10;

/**
 * `/ack`: where the links in Slack and Teams lead. Opening one only asks (programs that look at links open them too); the button sends
 * the command, under an id made of the link, so that clicking twice is one acknowledgement. A link that is forged or over is 403.
 */
export function ackRoutes(log: Log, secret: string, nowMs: () => number = Date.now): readonly HttpRoute[] {
  return [
    {
      method: "GET",
      path: "/ack",
      access: "own",
      maxBodyBytes: 0,
      async handle({ query }) {
        const link = readAckLink(query, secret, nowMs());
        if (link === undefined) return refused();
        const fields = [...query].map(
          ([name, value]) => `<input type="hidden" name="${markup(name)}" value="${markup(value)}">`,
        );
        return page(
          200,
          `<p>Acknowledge alert <code>${markup(link.fingerprint)}</code>?</p><form method="post" action="/ack">${fields.join("")}<button>Acknowledge</button></form>`,
        );
      },
    },
    {
      method: "POST",
      path: "/ack",
      access: "own",
      maxBodyBytes: BODY_BYTES_MOST,
      async handle({ body }) {
        const query = new URLSearchParams(Buffer.from(body).toString());
        const link = readAckLink(query, secret, nowMs());
        if (link === undefined) return refused();
        const command: OperatorCommand = {
          schema: "millrace.command/1",
          id: createHash("sha256")
            .update(`ack link\n${query.get("sig")}`)
            .digest("hex")
            .slice(0, 32),
          command: "ack",
          target: link.fingerprint,
          args: {},
          reason: "by link",
          by: `receiver ${link.receiver}`,
          role: "operator",
          ts: new Date(nowMs()).toISOString(),
        };
        await storeOnce(log, command);
        return page(200, "<p>Acknowledged.</p>");
      },
    },
  ];
}

function refused(): HttpReply {
  return page(403, "<p>This link is not valid, or no longer.</p>");
}

function page(status: number, content: string): HttpReply {
  return {
    status,
    type: "text/html; charset=utf-8",
    headers: {
      "cache-control": "no-store",
      "referrer-policy": "no-referrer",
      "content-security-policy": "default-src 'none'; form-action 'self'; frame-ancestors 'none'",
    },
    body: `<!doctype html><html lang="en"><meta name="viewport" content="width=device-width"><title>Millrace</title>${content}</html>`,
  };
}
