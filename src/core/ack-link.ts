import { createHmac, timingSafeEqual } from "node:crypto";

/** What an acknowledgement link stands for. */
export interface AckLink {
  /** Of the alert. */
  readonly fingerprint: string;
  /** Who was sent it: shown as who acknowledged, since a channel does not say who clicked. */
  readonly receiver: string;
  /** Wall time, ms since the epoch. */
  readonly expiresMs: number;
}

/**
 * A link that acknowledges one alert, for cards that cannot call back. The signature is an HMAC-SHA256 under `secret` over all of it, so
 * whoever has the link can acknowledge this alert until it expires, and nothing else.
 */
export function ackLink(wall: string, { fingerprint, receiver, expiresMs }: AckLink, secret: string): string {
  const link = new URL("/ack", wall);
  const query = { alert: fingerprint, by: receiver, until: String(expiresMs) };
  link.search = new URLSearchParams({ ...query, sig: signatureOf(query, secret) }).toString();
  return link.href;
}

/** Undefined when it was not signed with `secret`, or is over. */
export function readAckLink(query: URLSearchParams, secret: string, nowMs: number): AckLink | undefined {
  const [alert = "", by = "", until = "", sig = ""] = ["alert", "by", "until", "sig"].map(
    (name) => query.get(name) ?? "",
  );
  const given = Buffer.from(sig);
  const expected = Buffer.from(signatureOf({ alert, by, until }, secret));
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) return undefined;
  const expiresMs = Number(until);
  return expiresMs > nowMs ? { fingerprint: alert, receiver: by, expiresMs } : undefined;
}

function signatureOf({ alert, by, until }: { alert: string; by: string; until: string }, secret: string): string {
  return createHmac("sha256", secret)
    .update(JSON.stringify(["ack", alert, by, until]))
    .digest("base64url");
}
