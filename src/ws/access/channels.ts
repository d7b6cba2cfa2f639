import { type Caller, hasRole, type Role } from "../../core/index.js";

/** Who may read which channels, as data. `*` stands for one part of a name, `>` at the end for one or more: `plans.*`, `features.>`. */
export interface ChannelRule {
  readonly channel: string;
  /** The lowest role that may read it. */
  readonly role: Role;
  /** Only these subjects (`user:alice`, `display:wall-1`), admins excepted; everybody of the role when left out. */
  readonly subjects?: readonly string[] | undefined;
}

export type MayRead = (caller: Caller, channel: string) => boolean;

/** The first rule whose pattern fits decides; a channel no rule names is for viewers. O(rules). */
export function channelAccess(rules: readonly ChannelRule[]): MayRead {
  const matchers = rules.map((rule) => ({ rule, fits: channelPattern(rule.channel) }));
  return (caller, channel) => {
    if (caller.channels && !caller.channels.some((pattern) => channelPattern(pattern)(channel))) return false;
    const rule = matchers.find(({ fits }) => fits(channel))?.rule;
    if (!hasRole(caller, rule?.role ?? "viewer")) return false;
    return rule?.subjects === undefined || rule.subjects.includes(caller.subject) || hasRole(caller, "admin");
  };
}

/** Without wildcard a pattern is that channel alone: `alerts` is not `alerts.mine`. */
function channelPattern(pattern: string): (channel: string) => boolean {
  const wanted = pattern.split(".");
  const isOpen = wanted.at(-1) === ">";
  const fixed = isOpen ? wanted.slice(0, -1) : wanted;
  return (channel) => {
    const parts = channel.split(".");
    if (isOpen ? parts.length <= fixed.length : parts.length !== fixed.length) return false;
    return fixed.every((part, i) => part === "*" || part === parts[i]);
  };
}
