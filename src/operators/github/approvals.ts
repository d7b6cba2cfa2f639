import { HOUR_MS } from "../../core/index.js";
import { keyed } from "../keyed.js";
import type { Stateful } from "../state.js";

export interface Approvals extends Stateful {
  /** Notes an approving review; the earliest of a pull request counts, whatever order they come in. */
  approve(repository: string, number: number, timeMs: number): void;
  /** Hours from first approval to merge; undefined without an approval before the merge. The pull request is then forgotten. */
  hoursToMerge(repository: string, number: number, mergedMs: number): number | undefined;
}

/**
 * Remembers when open pull requests were first approved. An approval after the merge measures nothing and is dropped.
 *
 * State: one number an approved pull request, at most `maxOpen`; those longest without an approval go first.
 */
export function approvals({ maxOpen }: { maxOpen: number }): Approvals {
  const open = keyed<{ firstMs: number | null }>({
    maxKeys: maxOpen,
    create: () => ({ firstMs: null }),
    save: (value) => value,
    load: (saved) => saved as { firstMs: number | null },
  });
  return {
    approve(repository, number, timeMs) {
      const approval = open.at(`${repository}#${number}`, timeMs);
      approval.firstMs = approval.firstMs === null ? timeMs : Math.min(approval.firstMs, timeMs);
    },
    hoursToMerge(repository, number, mergedMs) {
      const key = `${repository}#${number}`;
      const firstMs = open.get(key)?.firstMs ?? undefined;
      open.delete(key);
      return firstMs === undefined || firstMs > mergedMs ? undefined : (mergedMs - firstMs) / HOUR_MS;
    },
    save: () => open.save(),
    load: (state) => open.load(state as ReturnType<typeof open.save>),
  };
}
