import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { exportJWK, exportSPKI, generateKeyPair, type JWK, type JWTPayload, SignJWT } from "jose";

/** An identity provider for tests: keys that rotate, published over HTTP, and tokens of every kind. */
export const SECRET = "a-shared-secret-of-enough-length-0123456789";
export const ISSUER = "https://login.example";
export const AUDIENCE = "millrace";

export type SigningKey = Awaited<ReturnType<typeof generateKeyPair>>["privateKey"] | Uint8Array;

export interface TokenWishes {
  readonly alg?: string;
  readonly kid?: string;
  readonly header?: Record<string, unknown>;
  readonly claims?: JWTPayload;
  /** From now; negative: already over. */
  readonly expiresS?: number | null;
  readonly sub?: string | null;
}

export async function token(key: SigningKey, wishes: TokenWishes = {}): Promise<string> {
  const { alg = "HS256", kid, header = {}, claims = {}, expiresS = 600, sub = "alice" } = wishes;
  const nowS = Math.floor(Date.now() / 1_000);
  const payload = {
    iss: ISSUER,
    aud: AUDIENCE,
    roles: ["operator"],
    iat: nowS,
    ...(sub === null ? {} : { sub }),
    ...(expiresS === null ? {} : { exp: nowS + expiresS }),
    ...claims,
  };
  return new SignJWT(payload).setProtectedHeader({ alg, ...(kid ? { kid } : {}), ...header }).sign(key);
}

/** A token nobody signed, put together by hand. */
export function unsigned(header: object, payload: object, signature = ""): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  return `${part(header)}.${part(payload)}.${signature}`;
}

export async function pair(alg: string) {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
  return { privateKey, pem: await exportSPKI(publicKey), jwk: { ...(await exportJWK(publicKey)), alg } };
}

/** Serves `keys` at /jwks and an OpenID configuration; counts how often it was asked. */
export async function issuer() {
  const state = { keys: [] as JWK[], asked: 0, status: 200, url: "" };
  const server = createServer((request, response) => {
    state.asked++;
    const body = request.url?.startsWith("/.well-known/")
      ? { issuer: state.url, jwks_uri: `${state.url}/jwks` }
      : { keys: state.keys };
    response.writeHead(state.status, { "content-type": "application/json" }).end(JSON.stringify(body));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  state.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { state, close: () => server.close() };
}
