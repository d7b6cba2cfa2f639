import { type Caller, hasRole, type Permission, type Role } from "../../core/index.js";

/** Who a connection or a request belongs to. Data only: how somebody is recognised is in `access.ts`. */
export interface Identity extends Caller {
  /** Ms since the epoch from which it no longer counts; Infinity when it never ends. */
  readonly expiresAtMs: number;
  /** False for the local key, whose holder owns the machine: no rate limit counts for it. */
  readonly limited: boolean;
}

/** Nobody in particular: routes that are open on loopback are answered to this. */
export const ANONYMOUS: Identity = { subject: "anonymous", role: "viewer", expiresAtMs: Infinity, limited: true };

export type Verdict = { readonly kind: "known"; readonly identity: Identity } | Refusal;

export interface Refusal {
  readonly kind: "refused";
  readonly status: 401 | 403 | 429 | 503;
  readonly why: RefusalReason;
  /** For the caller: what to do, never what was sent. */
  readonly detail: string;
}

/** A closed set, for counters and the audit stream. */
export type RefusalReason =
  | "no-credential"
  | "bad-credential"
  | "expired"
  | "revoked"
  | "permission"
  | "origin"
  | "rate"
  | "connections"
  | "keys-unavailable"
  | "other-subject";

const GRANTED: Readonly<Record<Exclude<Permission, "ingest">, Role>> = {
  status: "viewer",
  read: "viewer",
  command: "operator",
  query: "manager",
  administer: "admin",
};

export function isPermitted(identity: Caller, permission: Permission): boolean {
  if (permission === "query" && identity.channels !== undefined) return false; // SQL knows no channels
  if (permission === "ingest") return identity.role === undefined || identity.role === "admin";
  return hasRole(identity, GRANTED[permission]);
}

export function refused(status: Refusal["status"], why: RefusalReason, detail: string): Refusal {
  return { kind: "refused", status, why, detail };
}
