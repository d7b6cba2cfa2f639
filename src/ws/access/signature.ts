import {
  constants,
  createHmac,
  createPublicKey,
  type JsonWebKey,
  type KeyObject,
  timingSafeEqual,
  verify,
} from "node:crypto";

/** What a public key may have signed, by its curve or type. */
export const ALGORITHMS_BY_KEY: Readonly<Record<string, readonly string[]>> = {
  rsa: ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"],
  prime256v1: ["ES256"],
  secp384r1: ["ES384"],
  secp521r1: ["ES512"],
  ed25519: ["EdDSA"],
};
export const RSA_BITS_LEAST = 2_048;

export interface TokenHeader {
  readonly alg: string;
  readonly kid: string | undefined;
}

/**
 * Whether a signed token is beyond doubt of this key, found out in this turn: 0.02 ms for a secret, 0.1 ms for a public key. False says
 * nothing: a header with anything unusual, a key that is not at hand and a wrong signature are left to the library, which has a name for
 * each. Never throws.
 */
export function isSignedBy(
  token: string,
  algorithms: readonly string[],
  keyOf: (header: TokenHeader) => KeyObject | undefined,
): boolean {
  try {
    const [head = "", body = "", signature = "", ...more] = token.split(".");
    const header = readHeader(head);
    if (!header || more.length > 0 || !algorithms.includes(header.alg)) return false;
    const [key, bytes] = [keyOf(header), decoded(signature)];
    if (!key || !bytes || !fits(key, header.alg)) return false;
    return holds(header.alg, key, Buffer.from(`${head}.${body}`), bytes);
  } catch {
    return false;
  }
}

/** The one published key of this name that may sign so. */
export function publishedKey(keys: readonly JsonWebKey[], { kid, alg }: TokenHeader): KeyObject | undefined {
  const named = keys.filter((key) => kid !== undefined && key["kid"] === kid);
  const [key] = named;
  if (!key || named.length > 1) return undefined;
  const { alg: only = alg, use = "sig", key_ops: uses = ["verify"] } = key;
  if (only !== alg || use !== "sig" || !(Array.isArray(uses) && uses.includes("verify"))) return undefined;
  return createPublicKey({ format: "jwk", key });
}

/** Only the plainest header: what else one may ask for (`crit`, `b64`, keys of its own) is not understood here. */
function readHeader(text: string): TokenHeader | undefined {
  const { alg, kid, typ, ...more } = JSON.parse((decoded(text) ?? "").toString());
  const isPlain = Object.keys(more).length === 0 && (typ === undefined || typeof typ === "string");
  if (!isPlain || typeof alg !== "string" || !(kid === undefined || typeof kid === "string")) return undefined;
  return { alg, kid };
}

/** Undefined for text that is not the one way to write its bytes. */
function decoded(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, "base64url");
  return bytes.toString("base64url") === text ? bytes : undefined;
}

/** A public key must never serve as the secret of an HMAC, nor one kind of key for another's algorithm. */
function fits(key: KeyObject, algorithm: string): boolean {
  if (algorithm.startsWith("HS")) return key.type === "secret";
  const { namedCurve, modulusLength = RSA_BITS_LEAST } = key.asymmetricKeyDetails ?? {};
  const fitting = ALGORITHMS_BY_KEY[namedCurve ?? key.asymmetricKeyType ?? ""] ?? [];
  return key.type === "public" && modulusLength >= RSA_BITS_LEAST && fitting.includes(algorithm);
}

function holds(algorithm: string, key: KeyObject, signed: Buffer, signature: Buffer): boolean {
  const hash = `sha${algorithm.slice(2)}`;
  switch (algorithm.slice(0, 2)) {
    case "HS": {
      const wanted = createHmac(hash, key).update(signed).digest();
      return wanted.length === signature.length && timingSafeEqual(wanted, signature);
    }
    case "RS":
      return verify(hash, signed, key, signature);
    case "PS": {
      const { RSA_PKCS1_PSS_PADDING: padding, RSA_PSS_SALTLEN_DIGEST: saltLength } = constants;
      return verify(hash, signed, { key, padding, saltLength }, signature);
    }
    case "ES":
      return verify(hash, signed, { key, dsaEncoding: "ieee-p1363" }, signature);
    default:
      return algorithm === "EdDSA" && verify(null, signed, key, signature);
  }
}
