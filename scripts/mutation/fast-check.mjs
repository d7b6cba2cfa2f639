// Stands in for fast-check while mutants are tried: a share of each property's cases is enough to notice most of them (the score
// is then a lower bound), and a counterexample is as good as the smallest one.
import fastCheck from "fast-check";

const SHARE = 1 / 6;
const LEAST = 15;

// biome-ignore lint/style/noDefaultExport: it stands in for a package that has one.
export default {
  ...fastCheck,
  assert(property, options = {}) {
    const { numRuns = 100 } = options;
    const fewer = Math.min(numRuns, Math.max(LEAST, Math.ceil(numRuns * SHARE)));
    return fastCheck.assert(property, { ...options, numRuns: fewer, endOnFailure: true });
  },
};
