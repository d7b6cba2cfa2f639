import { createPublicKey, createSecretKey, type JsonWebKey, type KeyObject } from "node:crypto";
import {
  createRemoteJWKSet,
  errors,
  type JWTPayload,
  type JWTVerifyGetKey,
  jwtVerify,
  SignJWT,
  UnsecuredJWT,
} from "jose";
import { type Logger, MillraceError, ROLES, type Role } from "../../core/index.js";
import { isLoopback } from "../auth.js";
import { digest } from "./credentials.js";
import { type Identity, refused, type Verdict } from "./identity.js";
import { ALGORITHMS_BY_KEY, isSignedBy, publishedKey, RSA_BITS_LEAST, type TokenHeader } from "./signature.js";

export interface JwtOptions {
  /** For HS256, HS384 or HS512: at least 32 bytes. */
  readonly secret?: string | undefined;
  /** PEM of an RSA, EC or Ed25519 public key. */
  readonly publicKey?: string | undefined;
  /** Where the issuer publishes its keys; asked again when a token names an unknown one, and every ten minutes. */
  readonly jwksUrl?: string | undefined;
  /** Must equal `iss`. Alone, its OpenID configuration says where the keys are. */
  readonly issuer?: string | undefined;
  /** Must be in `aud`. */
  readonly audience?: string | undefined;
  /** The only ones accepted. Default: what fits the key, one for a secret or PEM; RS256, ES256 and EdDSA for published keys. */
  readonly algorithms?: readonly string[] | undefined;
  /** Claim with the roles: its name, or a path such as `realm_access.roles`. @default "roles" */
  readonly rolesClaim?: string | undefined;
  /** Between two requests for keys nobody knows. @default 30_000 */
  readonly keyCooldownMs?: number;
  readonly nowMs?: () => number;
}

export interface TokenVerifier {
  /** Whose token this is, if it was verified before and still counts. */
  seen(token: string): Identity | undefined;
  /** Checks signature and claims, 0.2 ms. A promise where keys have to be fetched first, or the token is to be refused. Never rejects. */
  verify(token: string): Verdict | Promise<Verdict>;
}

const SECRET_BYTES_LEAST = 32;
const TOKEN_CHARS_MOST = 8_192;
const CACHED_MOST = 10_000;
/** A verified token counts without another look until it expires, and no longer than this: a withdrawn key stops working. */
const CACHED_MS = 600_000;
const CLOCK_TOLERANCE_S = 5;
const FETCH_MS = 5_000;
/** A public key must never serve as the secret of an HMAC: algorithms of the two families are never accepted together. */
const SYMMETRIC = new Set(["HS256", "HS384", "HS512"]);
const PUBLISHED = ["RS256", "ES256", "EdDSA"];
interface Keys {
  readonly algorithms: readonly string[];
  readonly find: JWTVerifyGetKey;
  /** The same key, where it is at hand. */
  readonly atHand: (header: TokenHeader) => KeyObject | undefined;
}

/** The library checks claims without a promise only where there is no signature: this stands for the header of one checked already. */
const CHECKED = Buffer.from('{"alg":"none"}').toString("base64url");

/** Undefined when no option configures tokens. Errors: MR_OPTION_INVALID naming what does not fit together. */
export function createTokenVerifier(options: JwtOptions, logger: Logger): TokenVerifier | undefined {
  const keys = keysOf(options);
  if (keys === undefined) return undefined;
  const nowMs = options.nowMs ?? Date.now;
  const { issuer, audience, rolesClaim = "roles" } = options;
  const checks = {
    requiredClaims: ["exp", "sub"],
    clockTolerance: CLOCK_TOLERANCE_S,
    ...(issuer === undefined ? {} : { issuer }),
    ...(audience === undefined ? {} : { audience }),
  };
  const cache = verifiedTokens(nowMs);
  const nameOf = (token: string) => digest(token).toString("base64url");
  const checksNow = () => ({ ...checks, currentDate: new Date(nowMs()) });
  const settle = (token: string, claims: JWTPayload): Verdict => {
    const verdict = identityOf(claims, rolesClaim);
    if (verdict.kind === "known") cache.keep(nameOf(token), verdict.identity);
    return verdict;
  };
  const refuse = (error: unknown): Verdict => {
    const verdict = refusalOf(error);
    if (verdict.status === 503) logger.warn({ err: error }, "the keys of tokens could not be fetched");
    return verdict;
  };
  const verifyLater = async (token: string): Promise<Verdict> => {
    try {
      const { payload } = await jwtVerify(token, keys.find, { ...checksNow(), algorithms: [...keys.algorithms] });
      return settle(token, payload);
    } catch (error) {
      return refuse(error);
    }
  };
  return {
    seen: (token) => cache.find(nameOf(token)),
    verify(token) {
      if (token.length > TOKEN_CHARS_MOST) return refused(401, "bad-credential", "the token is too long");
      if (!isSignedBy(token, keys.algorithms, keys.atHand)) return verifyLater(token);
      try {
        return settle(token, UnsecuredJWT.decode(`${CHECKED}.${token.split(".")[1]}.`, checksNow()).payload);
      } catch (error) {
        return refuse(error);
      }
    },
  };
}

/** Signs a token with the shared secret, for `millrace token issue`. Errors: MR_OPTION_INVALID. */
export async function issueToken(
  { secret, issuer, audience, algorithms, rolesClaim = "roles" }: JwtOptions,
  claims: {
    readonly subject: string;
    readonly role: Role;
    readonly channels?: readonly string[];
    readonly ttlS: number;
  },
): Promise<string> {
  if (secret === undefined)
    throw invalid("signing a token needs MILLRACE_JWT_SECRET; with other keys your identity provider signs them");
  const { subject, role, channels, ttlS } = claims;
  const token = new SignJWT({ [rolesClaim]: [role], ...(channels === undefined ? {} : { channels }) })
    .setProtectedHeader({ alg: algorithms?.[0] ?? "HS256", typ: "JWT" })
    .setSubject(subject)
    .setIssuedAt()
    .setExpirationTime(`${ttlS}s`);
  if (issuer !== undefined) token.setIssuer(issuer);
  if (audience !== undefined) token.setAudience(audience);
  return token.sign(secretBytes(secret));
}

function keysOf({
  secret,
  publicKey,
  jwksUrl,
  issuer,
  audience,
  algorithms,
  keyCooldownMs,
}: JwtOptions): Keys | undefined {
  const given = [secret, publicKey, jwksUrl].filter((option) => option !== undefined).length;
  if (given > 1)
    throw invalid("give one of MILLRACE_JWT_SECRET, MILLRACE_JWT_PUBLIC_KEY and MILLRACE_JWKS_URL, not several");
  if (secret !== undefined) {
    const bytes = secretBytes(secret);
    const key = createSecretKey(bytes);
    return { algorithms: pinned(algorithms, ["HS256"], SYMMETRIC), find: async () => bytes, atHand: () => key };
  }
  if (publicKey !== undefined) {
    const key = readPublicKey(publicKey);
    const fitting = ALGORITHMS_BY_KEY[key.asymmetricKeyDetails?.namedCurve ?? key.asymmetricKeyType ?? ""] ?? [];
    const allowed = pinned(algorithms, fitting.slice(0, 1), new Set(fitting));
    return { algorithms: allowed, find: async () => key, atHand: () => key };
  }
  if (jwksUrl === undefined && issuer === undefined) return undefined;
  if (issuer === undefined || audience === undefined)
    throw invalid(
      "published keys sign for many: MILLRACE_JWT_ISSUER and MILLRACE_JWT_AUDIENCE must say whose tokens count",
    );
  const fitting = new Set(Object.values(ALGORITHMS_BY_KEY).flat());
  return { algorithms: pinned(algorithms, PUBLISHED, fitting), ...publishedKeys(jwksUrl, issuer, keyCooldownMs) };
}

/** Algorithms of one family only. */
function pinned(given: readonly string[] | undefined, usual: readonly string[], fitting: ReadonlySet<string>) {
  const wrong = given?.find((name) => !fitting.has(name));
  if (wrong !== undefined)
    throw invalid(`algorithm ${wrong} does not fit the configured key, which takes ${[...fitting].join(", ")}`);
  return given ?? usual;
}

function secretBytes(secret: string): Uint8Array {
  const bytes = new TextEncoder().encode(secret);
  if (bytes.length < SECRET_BYTES_LEAST)
    throw invalid(`the JWT secret must have at least ${SECRET_BYTES_LEAST} bytes; "openssl rand -hex 32" makes one`);
  return bytes;
}

function readPublicKey(pem: string): KeyObject {
  let key: KeyObject;
  try {
    key = createPublicKey(pem);
  } catch (cause) {
    throw invalid("reading the JWT public key: it must be PEM of an RSA, EC or Ed25519 public key", cause);
  }
  const bits = key.asymmetricKeyDetails?.modulusLength;
  if (bits !== undefined && bits < RSA_BITS_LEAST)
    throw invalid(`the RSA key has ${bits} bits; tokens need at least ${RSA_BITS_LEAST}`);
  return key;
}

/** Keys by their id. The address may come from the issuer's OpenID configuration, asked for when the first token comes. */
function publishedKeys(jwksUrl: string | undefined, issuer: string, cooldownMs = 30_000): Omit<Keys, "algorithms"> {
  if (jwksUrl !== undefined) secureUrl(jwksUrl);
  else secureUrl(issuer);
  let opened: ReturnType<typeof createRemoteJWKSet> | undefined;
  let keySet: Promise<JWTVerifyGetKey> | undefined;
  const open = async () => {
    const url = secureUrl(jwksUrl ?? (await discover(issuer)));
    const limits = { cooldownDuration: cooldownMs, cacheMaxAge: CACHED_MS, timeoutDuration: FETCH_MS };
    opened = createRemoteJWKSet(url, limits);
    return opened;
  };
  return {
    async find(header, token) {
      keySet ??= open().catch((error: unknown) => {
        keySet = undefined; // the next token tries again
        throw error;
      });
      return (await keySet)(header, token);
    },
    // Read from the library's own set each time, so that a key withdrawn there is withdrawn here.
    atHand: (header) =>
      opened?.fresh ? publishedKey((opened.jwks()?.keys ?? []) as readonly JsonWebKey[], header) : undefined,
  };
}

async function discover(issuer: string): Promise<string> {
  const url = `${issuer.replace(/\/$/, "")}/.well-known/openid-configuration`;
  const response = await fetch(url, { redirect: "error", signal: AbortSignal.timeout(FETCH_MS) });
  const found = (await response.json()) as { issuer?: unknown; jwks_uri?: unknown };
  if (!response.ok || found.issuer !== issuer || typeof found.jwks_uri !== "string")
    throw new Error(`${url} answered ${response.status} and names another issuer or no jwks_uri`);
  return found.jwks_uri;
}

/** Whoever can change these answers can sign tokens, so they do not travel in the clear, except on this machine. */
function secureUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isSecure =
    url?.protocol === "https:" || (url?.protocol === "http:" && isLoopback(url.hostname.replace(/[[\]]/g, "")));
  if (!url || !isSecure) throw invalid(`keys of tokens are fetched by https only, not from ${text}`);
  return url;
}

function identityOf(claims: JWTPayload, rolesClaim: string): Verdict {
  const named = rolesIn(claims, rolesClaim);
  const role = ROLES.findLast((known) => named.includes(known));
  if (role === undefined)
    return refused(403, "permission", `the token's claim ${rolesClaim} names none of ${ROLES.join(", ")}`);
  const { channels, sub, exp = 0 } = claims;
  const isList = Array.isArray(channels) && channels.every((channel) => typeof channel === "string");
  if (channels !== undefined && !isList)
    return refused(401, "bad-credential", "the token's claim channels must be a list of channel patterns");
  const limits = isList ? { channels: channels as string[] } : {};
  return {
    kind: "known",
    identity: { subject: `user:${sub}`.slice(0, 200), role, expiresAtMs: exp * 1_000, limited: true, ...limits },
  };
}

/** The claim by its whole name first: some providers use addresses with dots in them. */
function rolesIn(claims: JWTPayload, name: string): readonly unknown[] {
  let value: unknown = Object.hasOwn(claims, name) ? claims[name] : claims;
  if (value === claims)
    for (const part of name.split("."))
      value =
        typeof value === "object" && value !== null && Object.hasOwn(value, part)
          ? Reflect.get(value, part)
          : undefined;
  if (typeof value === "string") return value.split(" ");
  return Array.isArray(value) ? value : [];
}

function refusalOf(error: unknown) {
  if (error instanceof errors.JWTExpired) return refused(401, "expired", "the token has expired; send a new one");
  const isWrong =
    error instanceof errors.JOSEError &&
    !(error instanceof errors.JWKSTimeout || error instanceof errors.JWKSInvalid || error.code === "ERR_JOSE_GENERIC");
  if (isWrong) return refused(401, "bad-credential", "the token is not valid here");
  return refused(503, "keys-unavailable", "the keys to verify the token with cannot be fetched now; try again");
}

function verifiedTokens(nowMs: () => number) {
  const kept = new Map<string, { readonly identity: Identity; readonly untilMs: number }>();
  return {
    find(name: string): Identity | undefined {
      const found = kept.get(name);
      if (found && found.untilMs > nowMs()) return found.identity;
      kept.delete(name);
      return undefined;
    },
    keep(name: string, identity: Identity) {
      const oldest = kept.size >= CACHED_MOST ? kept.keys().next().value : undefined;
      if (oldest !== undefined) kept.delete(oldest);
      kept.set(name, { identity, untilMs: Math.min(identity.expiresAtMs, nowMs() + CACHED_MS) });
    },
  };
}

function invalid(message: string, cause?: unknown): MillraceError {
  return new MillraceError("MR_OPTION_INVALID", message, { cause });
}
