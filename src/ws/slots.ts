/** At most `count` holders at a time, in order of asking. What it resolves with gives the place back; calling that twice is safe. */
export function slots(count: number): () => Promise<() => void> {
  const waiting: (() => void)[] = [];
  let free = count;
  const release = () => {
    const next = waiting.shift();
    if (next) next();
    else free++;
  };
  return async () => {
    if (free > 0) free--;
    else await new Promise<void>((resolve) => waiting.push(resolve));
    let held = true;
    return () => {
      if (held) release();
      held = false;
    };
  };
}
