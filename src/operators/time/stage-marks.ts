import type { Stateful } from "../state.js";

export interface StageMarks extends Stateful<readonly (readonly [task: string, watermarkMs: number])[]> {
  /** Takes a producer's mark; true when the watermark moved. Marks of unknown tasks and marks that run back change nothing. */
  mark(task: string, watermarkMs: number): boolean;
  /** Undefined until every producer was heard. */
  watermarkMs(): number | undefined;
}

/**
 * The watermark of a stage that reads what other tasks wrote: the least of their marks. A producer that was not heard yet holds it.
 *
 * State: one number a producer.
 */
export function stageMarks(producers: readonly string[]): StageMarks {
  const expected = new Set(producers);
  const marks = new Map<string, number>();
  const least = (): number | undefined => (marks.size < expected.size ? undefined : Math.min(...marks.values()));
  return {
    mark(task, watermarkMs) {
      const known = marks.get(task);
      if (!expected.has(task) || (known !== undefined && watermarkMs <= known)) return false;
      const before = least();
      marks.set(task, watermarkMs);
      return least() !== before;
    },
    watermarkMs: least,
    save: () => [...marks].sort(([a], [b]) => (a < b ? -1 : 1)),
    load(state) {
      marks.clear();
      for (const [task, watermarkMs] of state) marks.set(task, watermarkMs);
    },
  };
}
