import { createHmac, timingSafeEqual } from "node:crypto";
import { Webhooks } from "@octokit/webhooks";
import { MillraceError } from "../../core/index.js";

const FORM = /^sha256=[0-9a-f]{64}$/;
/** `ignoreBOM` keeps a byte order mark, so that text and bytes stand for each other exactly. */
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Whether a body carries a signature by one of our secrets. */
export type SignatureCheck = (body: Uint8Array, signature: string | undefined) => Promise<boolean>;

/**
 * HMAC-SHA256 over the raw bytes, compared in constant time, by `@octokit/webhooks`. The library takes text, which it turns back into
 * UTF-8: for a body that is valid UTF-8 these are the same bytes. For any other body the text would hold replacement
 * characters and a right signature would look wrong, so those bytes, and the empty body the library refuses, are checked here.
 *
 * Errors: MR_OPTION_INVALID without a secret.
 */
export function signatureCheck(secrets: readonly string[]): SignatureCheck {
  if (secrets.length === 0 || secrets.includes("")) {
    throw new MillraceError(
      "MR_OPTION_INVALID",
      "the github door needs at least one webhook secret, none of them empty",
    );
  }
  const webhooks = secrets.map((secret) => ({ secret, octokit: new Webhooks({ secret }) }));
  return async (body, signature) => {
    if (signature === undefined || !FORM.test(signature)) return false;
    const text = textOf(body);
    for (const { secret, octokit } of webhooks) {
      const matches = text ? await octokit.verify(text, signature) : matchesBytes(secret, body, signature);
      if (matches) return true;
    }
    return false;
  };
}

function matchesBytes(secret: string, body: Uint8Array, signature: string): boolean {
  const expected = `sha256=${createHmac("sha256", secret).update(body).digest("hex")}`;
  return timingSafeEqual(Buffer.from(expected), Buffer.from(signature)); // same length: `FORM` has checked
}

function textOf(body: Uint8Array): string | undefined {
  try {
    return decoder.decode(body);
  } catch {
    return undefined;
  }
}
