/**
 * Calls `start` for each item in order, with at most `most` unfinished at a time; resolves when all have finished. At the first
 * failure nothing more is started and, once the rest has ended, that failure is thrown.
 */
export async function inOrderOf<T>(
  items: Iterable<T>,
  most: number,
  start: (item: T) => Promise<unknown>,
): Promise<void> {
  const running = new Set<Promise<void>>();
  const failures: unknown[] = [];
  for (const item of items) {
    const run: Promise<void> = start(item)
      .then(
        () => undefined,
        (error: unknown) => void failures.push(error),
      )
      .finally(() => running.delete(run));
    running.add(run);
    if (running.size >= most) await Promise.race(running);
    if (failures.length > 0) break;
  }
  await Promise.all(running);
  if (failures.length > 0) throw failures[0];
}
