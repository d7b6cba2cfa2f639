import { type Logger, MillraceError, type Registers } from "../../core/index.js";
import { isLoopback } from "../auth.js";
import { type Access, type AuditTrail, createAccess } from "./access.js";
import type { ChannelRule } from "./channels.js";
import { createTokenVerifier, type JwtOptions } from "./jwt.js";
import { ACCESS_LIMITS, type AccessLimits, createLimiter } from "./limits.js";
import { clientAddress } from "./proxies.js";
import { type CredentialStore, followCredentials } from "./stored.js";

export interface OpenAccessOptions {
  readonly host: string;
  readonly localKey: string;
  readonly tokens: JwtOptions;
  /** Where display tokens and API keys are kept; without it there are none. */
  readonly registers: Registers | undefined;
  readonly channelRules: readonly ChannelRule[];
  readonly limits: Partial<AccessLimits>;
  readonly trustedProxies: readonly string[];
  readonly audit: AuditTrail;
  readonly logger: Logger;
}

const FOLLOW_MS = 2_000;

/**
 * Access as configured. On loopback the local key opens everything. Beyond it the local key counts for callers on this machine only, and
 * something else must be configured. Errors: MR_OPTION_INVALID.
 */
export async function openAccess(options: OpenAccessOptions): Promise<Access & { close(): void }> {
  const { host, localKey, registers, logger, audit } = options;
  if (localKey.length < 16)
    throw new MillraceError("MR_OPTION_INVALID", "the local key must have at least 16 characters");
  const addressOf = clientAddress(options.trustedProxies);
  const tokens = createTokenVerifier(options.tokens, logger);
  const listeners: ((subject: string) => void)[] = [];
  const revoked = (subject: string) => {
    for (const listener of listeners) listener(subject);
  };
  const stored = registers && (await followCredentials({ registers, everyMs: FOLLOW_MS, revoked, logger }));
  const isLocalOnly = isLoopback(host);
  if (!isLocalOnly && tokens === undefined) requireCredential(host, stored);
  const access = createAccess({
    localKey,
    // Whoever comes from the very address we listen on is on this machine too.
    isLocal: (address) => isLocalOnly || isLoopback(address) || address === host,
    tokens,
    stored,
    channelRules: options.channelRules,
    limiter: createLimiter({ ...ACCESS_LIMITS, ...options.limits }),
    addressOf,
    onRevoked: (listener) => void listeners.push(listener),
    audit,
  });
  return { ...access, close: () => stored?.close() };
}

function requireCredential(host: string, stored: CredentialStore | undefined): void {
  if ((stored?.inForce() ?? 0) > 0) return;
  stored?.close();
  throw new MillraceError(
    "MR_OPTION_INVALID",
    `listening on ${host}: the local key is for one machine. To be reached by others, set MILLRACE_JWT_SECRET ("openssl rand -hex 32" ` +
      "makes one), or MILLRACE_JWT_PUBLIC_KEY, or MILLRACE_JWKS_URL with MILLRACE_JWT_ISSUER and MILLRACE_JWT_AUDIENCE, or, while it still " +
      'listens on 127.0.0.1, make a key with "millrace key create" or "millrace token display create"; see docs/access.md',
  );
}
