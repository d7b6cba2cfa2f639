export { issueToken } from "./access/jwt.js";
export {
  type CredentialKind,
  createCredential,
  isInForce,
  listCredentials,
  revokeCredential,
  type StoredCredential,
} from "./access/stored.js";
export type { QueryAnswer, Readiness } from "./api.js";
export { AUDIT_STREAM, type AuditEntry } from "./audit.js";
export { createGateway, type Gateway, type GatewayOptions } from "./gateway.js";
export type { ForeignMetric } from "./metrics.js";
export type * from "./protocol.js";
export { ackRoutes } from "./rest/ack.js";
