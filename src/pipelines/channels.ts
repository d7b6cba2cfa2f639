import type { ChannelDeclaration } from "../core/index.js";

/** The channels of this build; docs/protocol.md shows them as a table. */
export const CHANNELS: readonly ChannelDeclaration[] = [
  {
    name: "alerts[.<domain>]",
    kind: "history",
    stream: "alerts",
    subject: "alerts.*.<domain>",
    key: "fingerprint",
    delivery: "lossless",
    role: "viewer",
  },
  {
    name: "plans[.<site>]",
    kind: "history",
    stream: "plans",
    subject: "plans.<site>.ready",
    key: "site",
    delivery: "lossless",
    role: "viewer",
  },
  {
    name: "features.<pipeline>[.<key>]",
    kind: "history",
    stream: "features",
    subject: "features.*.<pipeline>.<key>",
    delivery: "latest",
    everyMs: 250,
    role: "viewer",
    reading: "demand",
  },
  {
    name: "alarms",
    kind: "state",
    stream: "alarms",
    subject: "alarms.0.>",
    gone: { field: "state", is: "normal" },
    delivery: "lossless",
    role: "operator",
    presence: true,
  },
  { name: "stats", kind: "polled", pollMs: 1_000, delivery: "lossless", role: "viewer" },
];
