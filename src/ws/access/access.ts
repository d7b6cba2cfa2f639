import type { RequestHead } from "../transport.js";
import type { ChannelRule, MayRead } from "./channels.js";
import { channelAccess } from "./channels.js";
import { credentialOf, digest, matchesDigest } from "./credentials.js";
import { ANONYMOUS, type Identity, type Refusal, type RefusalReason, refused, type Verdict } from "./identity.js";
import type { TokenVerifier } from "./jwt.js";
import { ACCESS_LIMITS, createLimiter, type Limiter } from "./limits.js";
import type { CredentialStore } from "./stored.js";

/** Everything the rest of the gateway asks about who may do what. */
export interface Access {
  /** Reads the credential of a request. A promise only for a token whose key is not at hand, or that is to be refused. Never rejects. */
  identify(head: RequestHead): Verdict | Promise<Verdict>;
  /** For what needs no credential: only the limits of the address count. */
  anonymous(head: RequestHead, at?: "door"): Verdict;
  /** Verifies a new token for an open connection; it must belong to the same subject. Never rejects. */
  refresh(identity: Identity, token: string, address: string): Promise<Verdict>;
  readonly mayRead: MayRead;
  /** Whether one more connection fits; `enter` counts it until the returned function is called. */
  mayConnect(identity: Identity, address: string): Refusal | undefined;
  enter(identity: Identity, address: string): () => void;
  /** Where a request comes from: what a trusted proxy says, else the other end of the socket. */
  addressOf(head: RequestHead): string;
  /** Tells the subject of each display token and API key that was revoked. */
  onRevoked(listener: (subject: string) => void): void;
  readonly audit: AuditTrail;
}

/** Who did it, for the audit stream. */
export interface Actor {
  readonly subject: string;
  readonly address: string;
}

export interface AuditTrail {
  /** Never waits and never throws; equal entries of half a second become one with a count. `what`: from a closed set, no ids. */
  record(actor: Actor, what: string, result: AuditResult): void;
}

export type AuditResult = "ok" | "error" | RefusalReason;

export interface AccessOptions {
  readonly localKey: string;
  /** Whether the local key counts for a request from this address. @default everywhere */
  readonly isLocal?: (address: string) => boolean;
  readonly tokens?: TokenVerifier | undefined;
  readonly stored?: CredentialStore | undefined;
  readonly channelRules?: readonly ChannelRule[];
  readonly limiter?: Limiter;
  readonly addressOf?: (head: RequestHead) => string;
  readonly onRevoked?: Access["onRevoked"];
  readonly audit: AuditTrail;
}

const LOCAL: Identity = { subject: "local", role: "admin", expiresAtMs: Infinity, limited: false };
const NONE = refused(
  401,
  "no-credential",
  "send a token, or on this machine the key from <data-dir>/local.key, as Authorization: Bearer <key>, or as ?key=<key>",
);
const WRONG = refused(401, "bad-credential", "the key is not known here; on one machine it is in <data-dir>/local.key");
/** Three parts of base64url: a signed token. */
const SIGNED = /^[\w-]+\.[\w-]+\.[\w-]*$/;

export function createAccess(options: AccessOptions): Access {
  const { localKey, isLocal = () => true, tokens, stored, channelRules = [], audit } = options;
  const { limiter = createLimiter(ACCESS_LIMITS), addressOf = (head) => head.remoteAddress } = options;
  const expected = digest(localKey);

  const judge = (credential: string, address: string): Verdict | Promise<Verdict> => {
    if (stored?.recognises(credential)) return stored.verify(credential);
    if (SIGNED.test(credential) && tokens) {
      const identity = tokens.seen(credential);
      if (identity) return { kind: "known", identity };
      return limiter.mayTry(address) ?? tokens.verify(credential);
    }
    if (matchesDigest(credential, expected) && isLocal(address)) return { kind: "known", identity: LOCAL };
    return WRONG;
  };
  /** Guessing is counted and soon answered 429; no signature is checked then. Who is known is limited by name, not by address. */
  const verdictOn = (credential: string, address: string): Verdict | Promise<Verdict> => {
    const settle = (verdict: Verdict): Verdict => {
      if (verdict.kind === "known") return limiter.request(verdict.identity) ?? verdict;
      return (verdict.status === 401 ? limiter.failed(address) : undefined) ?? verdict;
    };
    const verdict = judge(credential, address);
    return verdict instanceof Promise ? verdict.then(settle) : settle(verdict);
  };

  return {
    identify(head) {
      const credential = credentialOf(head);
      const address = addressOf(head);
      return credential === undefined ? (limiter.anonymous(address) ?? NONE) : verdictOn(credential, address);
    },
    anonymous: (head, at) => limiter.anonymous(addressOf(head), at) ?? { kind: "known", identity: ANONYMOUS },
    async refresh(identity, token, address) {
      const verdict = await verdictOn(token, address);
      if (verdict.kind === "refused" || verdict.identity.subject === identity.subject) return verdict;
      return refused(403, "other-subject", "this connection belongs to another user; reconnect with the new token");
    },
    mayRead: channelAccess(channelRules),
    mayConnect: limiter.mayConnect,
    enter: limiter.enter,
    addressOf,
    onRevoked: options.onRevoked ?? (() => {}),
    audit,
  };
}
