import type { Role } from "./roles.js";

/** What people may tell Millrace to do, and the lowest role that may. What each does with `args` is said where it is carried out. */
export const COMMANDS = {
  ack: { role: "operator", about: "take note of an alert" },
  unack: { role: "operator", about: "take the note back" },
  shelve: { role: "operator", about: "hide an alert for a while: args.minutes" },
  unshelve: { role: "operator", about: "show it again" },
  suppress: { role: "manager", about: "hide an alert by design until it is unsuppressed" },
  unsuppress: { role: "manager", about: "end that" },
  assign: { role: "operator", about: "make somebody responsible: args.to" },
  escalate: { role: "operator", about: "call the next level now" },
  comment: { role: "operator", about: "add a remark: args.text" },
  reset: { role: "operator", about: "release a latched alert" },
} as const satisfies Record<string, { readonly role: Role; readonly about: string }>;

export type CommandName = keyof typeof COMMANDS;

/** One record of the stream `commands`, on the subject `commands.<id>`. */
export interface OperatorCommand {
  readonly schema: "millrace.command/1";
  /** Of the caller and their idempotency key, so that a repeat is the same command; random without a key. */
  readonly id: string;
  readonly command: CommandName;
  /** What it is about, such as an alert's fingerprint. */
  readonly target: string;
  readonly args: Readonly<Record<string, string | number | boolean | null>>;
  /** Why, in the caller's words; may be empty. */
  readonly reason: string;
  /** Who, as the audit stream names them. */
  readonly by: string;
  readonly role: Role;
  /** RFC 3339, when the gateway took it. */
  readonly ts: string;
}
