import { randomBytes } from "node:crypto";
import { type Logger, MillraceError, type Registers } from "../../core/index.js";
import { digest, matchesDigest } from "./credentials.js";
import { type Identity, refused, type Verdict } from "./identity.js";

/** A display token (reads, for walls) or an API key (writes readings). Only its digest is kept. */
export interface StoredCredential {
  readonly id: string;
  readonly kind: CredentialKind;
  /** Unique among those in force. */
  readonly name: string;
  /** SHA-256 of the whole text, base64url. The secret has 256 random bits, so a slow hash would add nothing. */
  readonly sha256: string;
  readonly createdMs: number;
  /** Null: until it is revoked. */
  readonly expiresAtMs: number | null;
  readonly revokedMs: number | null;
  /** Channel patterns a display token is limited to; null: whatever a viewer may read. */
  readonly channels: readonly string[] | null;
}

export type CredentialKind = "display" | "ingest";

/** Where they are kept: one register of the log, so every gateway knows them. */
const REGISTER = "access/credentials";
const KEPT_MOST = 1_000;
const TRIES = 10;
const PREFIX: Readonly<Record<CredentialKind, string>> = { display: "mrd", ingest: "mrk" };
const SHAPE = /^mr[dk]_([0-9a-f]{12})_[\w-]{43}$/;

export interface NewCredential {
  readonly kind: CredentialKind;
  readonly name: string;
  readonly expiresAtMs: number | null;
  readonly channels: readonly string[] | null;
}

/** Makes one and resolves with its text, which is shown once and kept nowhere. Errors: MR_OPTION_INVALID (the name is taken, or too many). */
export async function createCredential(registers: Registers, wanted: NewCredential, nowMs: number): Promise<string> {
  const id = randomBytes(6).toString("hex");
  const text = `${PREFIX[wanted.kind]}_${id}_${randomBytes(32).toString("base64url")}`;
  const { kind, name } = wanted;
  await change(registers, (all) => {
    if (all.some((one) => one.kind === kind && one.name === name && isInForce(one, nowMs)))
      throw new MillraceError(
        "MR_OPTION_INVALID",
        `there is already a ${kind} credential named ${name}; revoke it first`,
      );
    const kept = all.length < KEPT_MOST ? all : all.filter((one) => isInForce(one, nowMs));
    if (kept.length >= KEPT_MOST)
      throw new MillraceError("MR_OPTION_INVALID", `${KEPT_MOST} credentials are in force; revoke some`);
    const sha256 = digest(text).toString("base64url");
    return [...kept, { id, ...wanted, sha256, createdMs: nowMs, revokedMs: null }];
  });
  return text;
}

/** `which`: an id or a name. Errors: MR_OPTION_INVALID when there is none in force. */
export async function revokeCredential(
  registers: Registers,
  { kind, which }: { kind: CredentialKind; which: string },
  nowMs: number,
): Promise<StoredCredential> {
  let revoked: StoredCredential | undefined;
  await change(registers, (all) => {
    const found = all.find(
      (one) => one.kind === kind && isInForce(one, nowMs) && (one.id === which || one.name === which),
    );
    if (!found) throw new MillraceError("MR_OPTION_INVALID", `no ${kind} credential ${which} is in force`);
    revoked = { ...found, revokedMs: nowMs };
    return all.map((one) => (one === found ? (revoked as StoredCredential) : one));
  });
  return revoked as unknown as StoredCredential;
}

export async function listCredentials(registers: Registers): Promise<readonly StoredCredential[]> {
  return decode((await registers.get(REGISTER))?.value);
}

export function isInForce({ revokedMs, expiresAtMs }: StoredCredential, nowMs: number): boolean {
  return revokedMs === null && (expiresAtMs === null || expiresAtMs > nowMs);
}

export interface CredentialStore {
  /** True for texts of the right shape; everything else is somebody else's credential. */
  recognises(text: string): boolean;
  verify(text: string): Verdict;
  /** How many count now. */
  inForce(): number;
  close(): void;
}

/**
 * Follows the register: a new or revoked credential counts within `everyMs`. While the log is away the last state counts.
 * `revoked` is told the subject of each that no longer counts. Resolves after the first reading, or its failure.
 */
export async function followCredentials(options: {
  readonly registers: Registers;
  readonly everyMs: number;
  readonly revoked: (subject: string) => void;
  readonly logger: Logger;
}): Promise<CredentialStore> {
  const { registers, everyMs, logger } = options;
  let revision = 0;
  let known = new Map<string, StoredCredential>();
  let timer: NodeJS.Timeout | undefined;
  let isFailing = false;
  let closed = false;
  const read = async () => {
    try {
      const found = await registers.get(REGISTER);
      isFailing = false;
      if (found && found.revision !== revision) {
        revision = found.revision;
        const before = known;
        known = new Map(decode(found.value).map((one) => [one.id, one]));
        for (const [id, one] of known)
          if (one.revokedMs !== null && before.get(id)?.revokedMs === null) options.revoked(subjectOf(one));
      }
    } catch (err) {
      if (!isFailing) logger.warn({ err }, "the credentials could not be read; those known still count");
      isFailing = true;
    }
    if (!closed) timer = setTimeout(() => void read(), everyMs).unref();
  };
  await read();
  return {
    recognises: (text) => SHAPE.test(text),
    inForce: () => [...known.values()].filter((one) => isInForce(one, Date.now())).length,
    verify(text) {
      const found = known.get(SHAPE.exec(text)?.[1] ?? "");
      if (!found || !matchesDigest(text, Buffer.from(found.sha256, "base64url")))
        return refused(401, "bad-credential", "the token or key is not known here");
      if (found.revokedMs !== null) return refused(401, "revoked", "the token or key was revoked");
      if (!isInForce(found, Date.now())) return refused(401, "expired", "the token or key has expired");
      return { kind: "known", identity: identityOf(found) };
    },
    close() {
      closed = true;
      clearTimeout(timer);
    },
  };
}

function identityOf(one: StoredCredential): Identity {
  return {
    subject: subjectOf(one),
    role: one.kind === "display" ? "viewer" : undefined,
    expiresAtMs: one.expiresAtMs ?? Infinity,
    limited: true,
    ...(one.channels === null ? {} : { channels: one.channels }),
  };
}

function subjectOf({ kind, name }: StoredCredential): string {
  return `${kind === "display" ? "display" : "key"}:${name}`;
}

async function change(registers: Registers, edit: (all: readonly StoredCredential[]) => readonly StoredCredential[]) {
  for (let tries = 0; tries < TRIES; tries++) {
    const found = await registers.get(REGISTER);
    const value = Buffer.from(JSON.stringify(edit(decode(found?.value))));
    if ((await registers.set(REGISTER, value, found?.revision ?? 0)) !== undefined) return;
  }
  throw new MillraceError("MR_LOG_UNAVAILABLE", `changing the credentials: ${TRIES} others were faster; try again`);
}

function decode(value: Uint8Array | undefined): readonly StoredCredential[] {
  return value === undefined ? [] : (JSON.parse(Buffer.from(value).toString()) as StoredCredential[]);
}
