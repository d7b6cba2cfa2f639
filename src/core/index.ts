export { type AckLink, ackLink, readAckLink } from "./ack-link.js";
export type * from "./alarms.js";
export { canonicalJson } from "./canonical.js";
export type * from "./channels.js";
export { systemClock } from "./clock.js";
export { COMMANDS, type CommandName, type OperatorCommand } from "./commands.js";
export {
  CONFIG_HELP,
  type Config,
  type ConfigKey,
  type ConfigSource,
  PARTITIONS_MOST,
  resolveConfig,
} from "./config.js";
export { DISPOSITIONS, type ErrorCode, isMillraceError, MillraceError, reasonOf } from "./errors.js";
export { type HttpReply, type HttpRequest, type HttpRoute, jsonReply } from "./http.js";
export {
  bool,
  borrowed,
  type Decoded,
  type FieldKind,
  type FieldReader,
  type Fields,
  fieldReader,
  json,
  num,
  optional,
  type Slices,
  str,
  variantReader,
} from "./json/fields.js";
export { createLogger, type Logger } from "./logger.js";
export type * from "./notices.js";
export {
  decodePack,
  encodePack,
  PACK_SCHEMA,
  type Packed,
  type PackFields,
  type PackKind,
  type PackSchema,
  packSchema,
  schemaId,
} from "./pack/pack.js";
export type * from "./ports.js";
export type * from "./program.js";
export { type DecodedReading, decodeReadings, type Reading, type ReadingTopic } from "./reading.js";
export type * from "./records.js";
export { type Caller, hasRole, type Permission, ROLES, type Role } from "./roles.js";
export { packageRoot } from "./root.js";
export type * from "./stats.js";
export { decodeToken, encodeToken, fnv1a, partitionOf, UNKNOWN_TOKEN } from "./subjects.js";
export { DAY_MS, formatTime, HOUR_MS, MINUTE_MS, parseTimeMs, SECOND_MS } from "./time.js";
