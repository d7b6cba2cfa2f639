/**
 * Lets messages leave in the order of the calls although some must be made ready first: a small message does not overtake a large one
 * that is being compressed. `prepare` says undefined when there is nothing to do; as long as nobody waits that costs nothing.
 */
export function inCallOrder<T, R>(
  prepare: (item: T) => Promise<T> | undefined,
  send: (item: T) => Promise<R>,
): (item: T) => Promise<R> {
  let last: Promise<unknown> | undefined;
  return (item) => {
    const preparing = prepare(item);
    if (preparing === undefined && last === undefined) return send(item);
    const before = last ?? Promise.resolve();
    const sent = Promise.all([preparing ?? item, before]).then(([ready]) => ({ sending: send(ready) }));
    const turn = sent.then(
      () => undefined,
      () => undefined, // the caller hears of it; the next one goes on
    );
    last = turn;
    void turn.then(() => {
      if (last === turn) last = undefined;
    });
    return sent.then(({ sending }) => sending);
  };
}
