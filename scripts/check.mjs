// npm run check: what can be said without running anything. Types, lint, and exports or dependencies nobody uses.
import "./node-version.mjs";
import { join } from "node:path";

try {
  const { ensureBuilt, ensureInstalled, ROOT, run } = await import("./setup.mjs");
  const bin = (name) => join(ROOT, "node_modules", ".bin", name);
  await ensureInstalled();
  await ensureBuilt();
  const codes = [await run(bin("biome"), ["ci"]), await run(bin("knip"), [])];
  process.exitCode = codes.every((code) => code === 0) ? 0 : 1;
} catch (error) {
  console.error(`npm run check: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
}
