import type { AlarmPriority, Severity } from "../../core/index.js";

const PRIORITY: Readonly<Record<Severity, AlarmPriority>> = { info: "event", warning: "medium", critical: "high" };
export const GRAVITY: Readonly<Record<Severity, number>> = { info: 0, warning: 1, critical: 2 };

export function priorityOf(severity: Severity): AlarmPriority {
  return PRIORITY[severity];
}
