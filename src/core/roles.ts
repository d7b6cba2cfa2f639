/** From least to most; each may do what those before it may. */
export const ROLES = ["viewer", "operator", "manager", "admin"] as const;
export type Role = (typeof ROLES)[number];

/** What a route asks for. Reading alerts is for viewers; free SQL passes every channel rule, so it is not. */
export type Permission = "status" | "read" | "command" | "query" | "ingest" | "administer";

/** Who asks, as routes see it. */
export interface Caller {
  /** As the audit stream names it: `local`, `user:alice`, `key:plant-1`, `anonymous`. No secret. */
  readonly subject: string;
  /** The highest role; undefined for API keys, which write readings and do nothing else. */
  readonly role: Role | undefined;
  /** Channels a token is limited to, as patterns; undefined: all its role may read. */
  readonly channels?: readonly string[] | undefined;
}

export function hasRole({ role }: Pick<Caller, "role">, wanted: Role): boolean {
  return role !== undefined && ROLES.indexOf(role) >= ROLES.indexOf(wanted);
}
