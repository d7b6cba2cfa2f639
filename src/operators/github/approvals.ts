import { HOUR_MS } from "../../core/index.js";
import type { ProcessFunction } from "../engine/index.js";
import type { Merge } from "./repository-day.js";

/** Somebody else than its author approved a pull request. */
export interface Approval {
  readonly kind: "approval";
  readonly number: number;
  readonly timeMs: number;
}

/** When each open pull request of a repository was first approved. */
type Approvals = readonly (readonly [number: number, firstMs: number])[];

export interface ApprovalOptions {
  readonly maxRepositories: number;
  /** Approved and open pull requests of a repository; those approved first are forgotten first. */
  readonly maxOpen: number;
}

/**
 * Measures the time from approval to merge: remembers first approvals, and adds the hours to the merges of a day. For a stream by
 * repository.
 *
 * Order:  approvals in whatever order, the earliest of a pull request counts; one after the merge measures nothing.
 * Out:    the day, with `waits[i]` the hours from first approval to merge i, undefined without one. The pull request is then forgotten.
 * State:  two numbers an approved pull request. O(open) an approval or merge.
 */
export function approvals<Day extends { readonly kind: "day"; readonly merges: readonly Merge[] }>({
  maxRepositories,
  maxOpen,
}: ApprovalOptions): ProcessFunction<
  string,
  Approval | Day,
  Approvals,
  Day & { readonly waits: readonly (number | undefined)[] }
> {
  return {
    ttlMs: Number.POSITIVE_INFINITY,
    maxKeys: maxRepositories,
    init: () => [],
    onEvent(open, news, at) {
      if (news.kind === "approval") return approve(open, news, maxOpen);
      at.emit({ ...news, waits: news.merges.map((merge) => hoursToMerge(open, merge)) });
      const merged = new Set(news.merges.map(({ number }) => number));
      return open.filter(([number]) => !merged.has(number));
    },
  };
}

function approve(open: Approvals, { number, timeMs }: Approval, maxOpen: number): Approvals {
  const known = open.find(([other]) => other === number);
  if (known !== undefined && known[1] <= timeMs) return open;
  const others = open.filter((one) => one !== known);
  const next = [...others, [number, timeMs] as const].sort(([a, atA], [b, atB]) => atA - atB || a - b);
  return next.slice(-maxOpen);
}

function hoursToMerge(open: Approvals, { number, timeMs }: Merge): number | undefined {
  const firstMs = open.find(([other]) => other === number)?.[1];
  return firstMs === undefined || firstMs > timeMs ? undefined : (timeMs - firstMs) / HOUR_MS;
}
