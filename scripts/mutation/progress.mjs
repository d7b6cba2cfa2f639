// Stryker's reporter: a line on standard error every ten seconds, and each result at once in a file, so that a run that is
// stopped has not been for nothing.
import { appendFileSync, writeFileSync } from "node:fs";
import { isSampled } from "./sample.mjs";

const LINE_EVERY_MS = 10_000;

class Progress {
  static inject = ["options"];
  #options;
  #began = performance.now();
  #said = performance.now();
  #total = 0;
  #done = 0;
  #survived = 0;

  constructor({ engineTests }) {
    this.#options = engineTests;
    writeFileSync(engineTests.results, "");
  }

  onMutationTestingPlanReady({ mutantPlans }) {
    const { share, seed, only } = this.#options;
    this.#total = mutantPlans.filter(
      ({ plan, mutant }) => plan === "Run" && isSampled(mutant, share, seed, only),
    ).length;
    console.error(`${mutantPlans.length} mutants, ${this.#total} to try`);
  }

  onMutantTested(result) {
    const { share, seed, only, results } = this.#options;
    if (!isSampled(result, share, seed, only)) return;
    appendFileSync(results, `${JSON.stringify(result)}\n`);
    this.#done++;
    if (result.status === "Survived" || result.status === "NoCoverage") this.#survived++;
    const now = performance.now();
    if (now - this.#said < LINE_EVERY_MS) return;
    this.#said = now;
    const seconds = Math.round((now - this.#began) / 1_000);
    console.error(`${seconds} s: ${this.#done} of ${this.#total} mutants, ${this.#survived} survived`);
  }
}

export const strykerPlugins = [{ kind: "Reporter", name: "lines", injectableClass: Progress }];
