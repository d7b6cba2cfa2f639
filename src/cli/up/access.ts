import { readFileSync } from "node:fs";
import { type Config, MillraceError } from "../../core/index.js";
import type { GatewayOptions } from "../../ws/index.js";

/** The options of the gateway that say who may do what. Errors: MR_OPTION_INVALID (the file of the public key). */
export function accessOptions(config: Config) {
  const { jwtSecret, jwtPublicKey, jwksUrl, jwtIssuer, jwtAudience, jwtAlgorithms, jwtRolesClaim } = config;
  const { requestsPerSecond, ingestPerSecond, connectionsPerIdentity, connectionsPerAddress } = config;
  return {
    tokens: {
      secret: jwtSecret,
      publicKey: jwtPublicKey === undefined ? undefined : readKey(jwtPublicKey),
      jwksUrl,
      issuer: jwtIssuer,
      audience: jwtAudience,
      algorithms: jwtAlgorithms,
      rolesClaim: jwtRolesClaim,
    },
    channelRules: config.channelRules,
    allowedOrigins: config.allowedOrigins,
    trustedProxies: config.trustedProxies,
    limits: { requestsPerSecond, ingestPerSecond, connectionsPerIdentity, connectionsPerAddress },
  } satisfies Partial<GatewayOptions>;
}

function readKey(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw new MillraceError("MR_OPTION_INVALID", `reading the public key of tokens: ${(cause as Error).message}`, {
      cause,
    });
  }
}
