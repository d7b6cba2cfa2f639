import t from "tap";
import { calibrated } from "../src/index.js";
import { STREAMS, SUBJECTS, type Subject } from "./conformance.js";
import { Inputs } from "./inputs.js";

const ROWS = 600;
const SEED = 20_261;
t.comment(`seed ${SEED}`);

function stream(subject: Subject, name: string, rows = ROWS): number[][] {
  const inputs = new Inputs(SEED);
  const make = STREAMS[name] as (i: number, real: () => number) => number;
  return Array.from({ length: rows }, (_, i) =>
    Array.from({ length: subject.dimensions }, () => make(i, () => inputs.real())),
  );
}

const equal = (a: Uint8Array, b: Uint8Array) => Buffer.compare(a, b) === 0;

for (const subject of SUBJECTS) {
  t.test(subject.name, async (t) => {
    t.test("same input, same output; every score is in the range documented", async (t) => {
      for (const name of Object.keys(STREAMS)) {
        const rows = stream(subject, name);
        const [a, b] = [subject.make(), subject.make()];
        let scored = 0;
        for (let i = 0; i < rows.length; i++) {
          const row = rows[i] as number[];
          const score = a.step(row);
          if (!Object.is(score, b.step(Float64Array.from(row))))
            t.fail(`${name}: row ${i} differs between equal detectors`);
          if (typeof score !== "number") continue;
          scored++;
          const [low, high] = subject.range as [number, number];
          if (!(score >= low && score <= high)) t.fail(`${name}: row ${i} scored ${score}, outside [${low}, ${high}]`);
        }
        if (subject.range !== undefined && name !== "missing") t.ok(scored > 0, `${name}: ${scored} scores`);
        t.ok(equal(a.save(), b.save()), `${name}: equal bytes`);
      }
    });

    t.test("save and load at any point change nothing", async (t) => {
      for (const name of ["noise", "shift", "duplicates", "holes", "extremes"]) {
        const rows = stream(subject, name);
        const through = subject.make();
        let restarted = subject.make();
        for (let i = 0; i < rows.length; i++) {
          if (i < 40 || i % 37 === 0) {
            const bytes = restarted.save();
            restarted = subject.make();
            restarted.load(bytes);
            if (!equal(restarted.save(), bytes)) t.fail(`${name}: bytes change on load at ${i}`);
          }
          const row = rows[i] as number[];
          if (!Object.is(through.step(row), restarted.step(row))) t.fail(`${name}: row ${i} differs after a restart`);
        }
        t.ok(equal(through.save(), restarted.save()), `${name}: equal bytes at the end`);
      }
    });

    t.test(
      "loading over a used detector forgets it; damaged or foreign bytes are refused and change nothing",
      async (t) => {
        const saved = subject.make();
        for (const row of stream(subject, "noise", 150)) saved.step(row);
        const bytes = saved.save();
        const used = subject.make();
        for (const row of stream(subject, "shift")) used.step(row);
        const before = used.save();
        for (const at of [4, 13, bytes.length >> 1, bytes.length - 1]) {
          const damaged = bytes.slice();
          damaged[at] = (damaged[at] as number) ^ 0x40;
          t.throws(() => used.load(damaged), { code: "AD_STATE_INVALID" }, `byte ${at} flipped`);
        }
        t.throws(() => used.load(bytes.subarray(0, bytes.length - 7)), { code: "AD_STATE_INVALID" }, "cut short");
        t.throws(() => used.load(new Uint8Array(0)), { code: "AD_STATE_INVALID" }, "empty");
        t.ok(equal(used.save(), before), "unchanged by refusals");
        used.load(bytes);
        t.ok(equal(used.save(), bytes));
      },
    );

    t.test("scoring changes nothing and process scores first", async (t) => {
      const detector = subject.make();
      if (detector.peek === undefined) return t.pass("drift detectors score what they took");
      const rows = stream(subject, "noise", 200);
      for (const row of rows) {
        const before = detector.save();
        const peeked = detector.peek(row);
        if (!equal(detector.save(), before)) t.fail("scoreOne changed the state");
        if (!Object.is(detector.step(row), peeked)) t.fail("process did not return scoreOne's score");
      }
      return t.pass();
    });

    t.test("explain: shares of the features that sum to 1, or all 0; it changes nothing", async (t) => {
      const subjects = ["noise", "holes", "extremes", "constant"].map((name) => ({ name, made: subject.make() }));
      for (const { name, made } of subjects) {
        const { scoring } = made;
        if (scoring === undefined) return t.pass("drift detectors watch one number");
        for (const [i, row] of stream(subject, name, 400).entries()) {
          made.step(row);
          if (i % 11 !== 0) continue;
          const before = made.save();
          const shares = scoring.explain(row);
          const sum = shares.reduce((a, b) => a + b, 0);
          if (shares.length !== subject.dimensions) t.fail(`${shares.length} shares`);
          if (!shares.every((share) => share >= 0)) t.fail(`${name}: ${shares}`);
          if (sum !== 0 && Math.abs(sum - 1) > 1e-9) t.fail(`${name}: shares sum to ${sum}`);
          if (!equal(made.save(), before)) t.fail(`${name}: explain changed the state`);
        }
      }
      return t.pass();
    });

    t.test("told so, it learns no flagged row", async (t) => {
      const { scoring } = subject.make();
      if (scoring === undefined) return t.pass("drift detectors flag nothing");
      const everything = calibrated(scoring, { boundary: { threshold: -1e300 }, learnFlagged: false });
      let frozen: Uint8Array | undefined;
      for (const row of stream(subject, "noise")) if (everything.process(row) !== undefined) frozen ??= scoring.save();
      return t.ok(frozen !== undefined && equal(scoring.save(), frozen), "as when it first flagged a row");
    });

    t.test("warm-up is undefined, then scores; memory stays bounded", async (t) => {
      const detector = subject.make();
      const rows = stream(subject, "noise");
      let first = -1;
      let early = 0;
      for (let i = 0; i < rows.length; i++) {
        const score = detector.step(rows[i] as number[]);
        if (score !== undefined && first < 0) first = i;
        if (i === rows.length >> 1) early = detector.memoryBytes();
      }
      t.ok(first >= 0 && first <= subject.warmUp + 1, `first score at row ${first}`);
      t.ok(detector.memoryBytes() <= early * 1.01 + 64, `${detector.memoryBytes()} bytes`);
      t.ok(detector.memoryBytes() > 0);
    });
  });
}
