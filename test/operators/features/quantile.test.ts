import t from "tap";
import { median, quantileOfSorted } from "../../../src/operators/index.js";

t.test("linear between neighbours, as numpy", async (t) => {
  t.equal(quantileOfSorted([], 0.5), undefined);
  t.equal(quantileOfSorted([3], 0.9), 3);
  t.equal(quantileOfSorted([1, 2, 3, 4], 0.25), 1.75); // numpy.quantile([1, 2, 3, 4], .25)
  t.equal(quantileOfSorted([1, 2, 3, 4], 1), 4);
  const numbers = [9, 1, 5];
  t.equal(median(numbers), 5);
  t.same(numbers, [9, 1, 5], "left as they are");
  t.equal(median([10, 9, 1, 2]), 5.5, "numbers, not text");
});
