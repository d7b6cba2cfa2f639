import { createHash, timingSafeEqual } from "node:crypto";
import type { HttpRequest } from "../../core/index.js";

const SOURCE = /^[A-Za-z0-9_-]{1,64}$/;
const LIVE = "live";

/**
 * The time source a request names in `X-Millrace-Source`, honoured only with `Authorization: Bearer <local key>` beside it: who may name a
 * source may hold back or push on everybody's windows. Without the key, or with a name that is none, it is "live".
 */
export function sourceOf(request: HttpRequest, localKey: string): string {
  const source = request.header("x-millrace-source");
  if (source === undefined || !SOURCE.test(source)) return LIVE;
  const given = /^bearer +(\S+) *$/i.exec(request.header("authorization") ?? "")?.[1] ?? "";
  return timingSafeEqual(digest(given), digest(localKey)) ? source : LIVE;
}

/** Both sides are hashed first: neither content nor length shows in the time it takes. */
function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
