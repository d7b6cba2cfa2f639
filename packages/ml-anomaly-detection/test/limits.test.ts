import t from "tap";
import { normalSurprise } from "../src/core/normal.js";
import { chiSquareQuantile, chiSquareTail, fQuantile, logGamma } from "../src/core/special.js";
import { golden } from "./files.js";

interface File {
  tool: string;
  f: [number, number, number, number][];
  chi: [number, number, number][];
  chiTail: [number, number, number][];
  normal: [number, number][];
}
const file = golden<File>("limits.json");
const gap = (a: number, b: number) => Math.abs(a - b) / Math.max(Math.abs(b), 1e-300);

t.test(`quantiles and tails equal ${file.tool}`, async (t) => {
  const worst = { f: 0, chi: 0, chiTail: 0, normal: 0 };
  for (const [tail, d1, d2, want] of file.f) worst.f = Math.max(worst.f, gap(fQuantile(tail, d1, d2), want));
  for (const [tail, df, want] of file.chi) worst.chi = Math.max(worst.chi, gap(chiSquareQuantile(tail, df), want));
  for (const [x, df, want] of file.chiTail) worst.chiTail = Math.max(worst.chiTail, gap(chiSquareTail(x, df), want));
  for (const [z, want] of file.normal) worst.normal = Math.max(worst.normal, gap(normalSurprise(z), want));
  t.comment(JSON.stringify(worst));
  t.ok(worst.f < 1e-7 && worst.chi < 1e-8 && worst.chiTail < 1e-8);
  t.ok(worst.normal < 1e-2, "surprise is a score, not a p-value: within 1 %");
});

t.test("logGamma at known points", async (t) => {
  t.ok(gap(logGamma(5), Math.log(24)) < 1e-14);
  t.ok(gap(logGamma(0.5), Math.log(Math.sqrt(Math.PI))) < 1e-13);
});
