import type { RequestHead } from "../transport.js";
import type { ChannelRule, MayRead } from "./channels.js";
import { channelAccess } from "./channels.js";
import { credentialOf, digest, matchesDigest } from "./credentials.js";
import { ANONYMOUS, type Identity, type RefusalReason, refused, type Verdict } from "./identity.js";

/** Everything the rest of the gateway asks about who may do what. */
export interface Access {
  /** Reads the credential of a request. A promise only for a token that was not seen before. Never rejects. */
  identify(head: RequestHead): Verdict | Promise<Verdict>;
  /** For what needs no credential: only the limits of the address count. */
  anonymous(head: RequestHead): Verdict;
  /** Verifies a new token for an open connection; it must belong to the same subject. Never rejects. */
  refresh(identity: Identity, token: string): Promise<Verdict>;
  readonly mayRead: MayRead;
  readonly audit: AuditTrail;
}

/** Who did it, for the audit stream. */
export interface Actor {
  readonly subject: string;
  readonly address: string;
}

export interface AuditTrail {
  /** Never waits and never throws; equal entries of half a second become one with a count. `what`: from a closed set, no ids. */
  record(actor: Actor, what: string, result: "ok" | "error" | RefusalReason): void;
}

export interface AccessOptions {
  readonly localKey: string;
  readonly channelRules?: readonly ChannelRule[];
  readonly audit: AuditTrail;
}

const LOCAL: Identity = { subject: "local", role: "admin", expiresAtMs: Infinity, limited: false };

export function createAccess({ localKey, channelRules = [], audit }: AccessOptions): Access {
  const expected = digest(localKey);
  const judge = (credential: string): Verdict =>
    matchesDigest(credential, expected)
      ? { kind: "known", identity: LOCAL }
      : refused(401, "bad-credential", "the key is not the one in <data-dir>/local.key");
  return {
    identify(head) {
      const credential = credentialOf(head);
      if (credential === undefined)
        return refused(
          401,
          "no-credential",
          "send the key from <data-dir>/local.key as Authorization: Bearer <key>, or as ?key=<key>",
        );
      return judge(credential);
    },
    anonymous: () => ({ kind: "known", identity: ANONYMOUS }),
    async refresh(identity, token) {
      const verdict = judge(token);
      if (verdict.kind === "refused" || verdict.identity.subject === identity.subject) return verdict;
      return refused(
        403,
        "other-subject",
        `this connection belongs to ${identity.subject}; reconnect with the new token`,
      );
    },
    mayRead: channelAccess(channelRules),
    audit,
  };
}
