import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { chromium } from "playwright-core";
import t from "tap";
import { packageRoot } from "../../src/core/index.js";
import { CHROMIUM_FLAGS, findChromium } from "../support/chromium.js";
import { KEY, setting } from "./setting.js";

t.setTimeout(90_000);

const GZIP_BYTES_MAX = 8 * 1024;

/** What a page loads. */
async function bundle(): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [join(packageRoot(), "packages", "client", "dist", "src", "index.js")],
    bundle: true,
    minify: true,
    format: "esm",
    platform: "browser",
    write: false,
  });
  return outputFiles[0]?.text ?? "";
}

t.test("small enough for any page", async (t) => {
  const bytes = gzipSync(await bundle()).length;
  t.ok(bytes < GZIP_BYTES_MAX, `${bytes} bytes, gzipped`);
});

const found = findChromium();
const skip = found.kind === "missing" ? found.reason : false;
if (skip) t.comment(`skipped: ${skip}`);
t.test("the example page in a browser, over a line that is cut", { skip }, async (t) => {
  const staticDir = mkdtempSync(join(tmpdir(), "millrace-client-"));
  t.teardown(() => rmSync(staticDir, { recursive: true, force: true }));
  cpSync(join(packageRoot(), "examples", "client", "page"), staticDir, { recursive: true });
  writeFileSync(join(staticDir, "millrace-client.js"), await bundle());
  const world = await setting(t, { staticDir });
  const browser = await chromium.launch({
    executablePath: found.kind === "found" ? found.path : "",
    args: [...CHROMIUM_FLAGS],
  });
  t.teardown(() => browser.close());
  const page = await browser.newPage();
  const complaints: string[] = [];
  page.on("pageerror", (error) => complaints.push(error.message));
  await page.goto(`${world.url}/#${KEY}`);
  const becomes = async (holds: (state: string | null) => boolean) => {
    while (!holds(await page.locator("#state").textContent())) await page.waitForTimeout(10);
  };
  const shown = () => page.locator("#alerts li").allTextContents();
  await becomes((state) => state === "open");
  while ((await shown()).length === 0) await world.write(1);
  world.cut();
  await becomes((state) => state !== "open");
  await world.write(10);
  world.mend();
  await world.write(10);
  const written = (await world.written()).map((n) => `alert ${n}`);
  await page.getByText(written.at(-1) ?? "", { exact: true }).waitFor();
  const seen = await shown();
  t.same(seen, written.slice(written.indexOf(seen[0] ?? "")), "every alert since the page listened, once, in order");
  t.ok(seen.length > 20);
  await becomes((state) => state === "open");
  t.same(complaints, []);
});
