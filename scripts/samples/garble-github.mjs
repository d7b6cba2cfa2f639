/** Malformed deliveries, correctly signed later: what a proxy, a half-configured app or a wrong content type produces. */
import { integer } from "./random.mjs";

const json = (body) => JSON.stringify(body);
const withRepository = (body, repository) => json({ ...body, repository });

const KINDS = [
  (body) => withRepository(body, undefined),
  (body, random) => json(body).slice(0, -1 - integer(random, 200)), // torn off
  (body) => withRepository(body, { ...body.repository, full_name: body.repository.name }), // no owner
  (body) => withRepository(body, null),
  (body) => `payload=${json(body)}`, // a form field, announced as JSON
  (body) => json([body]),
  (body) => withRepository(body, { ...body.repository, full_name: 42 }),
];

/** A `garble` for plant(); its deliveries are numbered on from `count`, so none repeats a good one. */
export function garbleDelivery(count, guid) {
  return (random, line, n) => {
    const body = JSON.parse(line.body);
    // Pull request numbers beyond the real ones keep the content unique whatever was copied.
    if (body.number) body.number += 100_000;
    return { ...line, delivery: guid(count + n + 1), body: KINDS[n % KINDS.length](body, random) };
  };
}
