import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { type Browser, chromium, type Page } from "playwright-core";
import t from "tap";
import { packageRoot } from "../../src/core/index.js";
import { CHROMIUM_FLAGS, findChromium } from "../support/chromium.js";
import { END_MS, scene, statsAt } from "./scene.js";
import { openStage, type Stage } from "./stage.js";

t.setTimeout(120_000);

const SIZES = [
  { name: "1600x900", width: 1600, height: 900, oneScreen: true },
  { name: "1280x720", width: 1280, height: 720, oneScreen: true },
  { name: "tablet", width: 820, height: 1180, oneScreen: false },
  { name: "phone", width: 360, height: 740, oneScreen: false },
] as const;
const SHOTS = join(packageRoot(), "build", "screenshots");

const found = findChromium();
if (found.kind === "missing") t.comment(`skipped: ${found.reason}`);
t.test("the page in a browser", { skip: found.kind === "missing" ? found.reason : false }, async (t) => {
  mkdirSync(SHOTS, { recursive: true });
  const stage = await openStage();
  t.teardown(() => stage.close());
  const browser = await chromium.launch({
    executablePath: found.kind === "found" ? found.path : "",
    args: [...CHROMIUM_FLAGS],
  });
  t.teardown(() => browser.close());
  const view = (width: number, height: number) => openView(browser, stage, { width, height });

  t.test("one screen, or stacked: nothing cut off, nothing on top of anything", async (t) => {
    const { page, complaints } = await view(1600, 900);
    await filled(page);
    const look = async (state: string) => {
      for (const { name, width, height, oneScreen } of SIZES) {
        await page.setViewportSize({ width, height });
        await settled(page);
        await page.screenshot({ path: join(SHOTS, `wall-${name}${state}.png`), fullPage: !oneScreen });
        const { right, bottom } = await overflow(page);
        t.equal(right, 0, `${name}${state}: no scrolling to the side`);
        if (oneScreen) t.equal(bottom, 0, `${name}${state}: all on one screen`);
        t.same(await overlaps(page), [], `${name}${state}: no panel covers another`);
        t.same(await cut(page), [], `${name}${state}: what must be read whole can be`);
        t.ok(await drawn(page), `${name}${state}: three charts with something on them`);
      }
    };
    await look("");
    stage.setStats(statsAt(1));
    await page.locator("#banner").waitFor();
    await look("-end");
    stage.setStats(statsAt(0.42));
    t.same(complaints, []);
    await page.context().close();
  });

  t.test("says what is going on, and keeps the key to itself", async (t) => {
    const { page, complaints } = await view(1600, 900);
    await filled(page);
    const key = new URL(stage.address).searchParams.get("key") ?? "";
    t.equal(new URL(page.url()).search, "");
    t.notMatch(await page.content(), key);
    const shows = async (selector: string, expected: RegExp) =>
      t.match(await said(page, selector, expected), expected, selector);
    await shows("#sentence", /^Playing the sample: 42 %\. 10 alerts, 5 open, the plan saves \d+ % diesel\.$/);
    await shows(".card-github", /5,055.*4,990.*50.*15.*✓ Received = stored/s);
    await shows(".card-telemetry", /214 on the way through/);
    await shows(".plan", /less dieselfor the same .* t.*Before.*L\/t.*After.*shovel-06.*out: no trips/s);
    await shows("#dead", /payload is not JSON|values has more than 64 entries/);
    await shows("#clock", /13 Nov 23:50:54/);
    await page.reload();
    await filled(page);
    t.pass("a reload still has the key");
    t.same(complaints, []);
    await page.context().close();
  });

  t.test("an alert opens with its evidence, and its chart follows", async (t) => {
    const { page } = await view(1600, 900);
    await filled(page);
    const truck = page.locator("li.alert", { hasText: "truck-23" });
    await truck.locator("button").first().click();
    t.match(
      await truck.textContent(),
      /minez\/truck-23.*55\.2, usually 7\.4 – 14\.1.*truck-unusual of mine\.telemetry.*telemetry #48112/s,
    );
    await page.locator(".chart-title", { hasText: "truck-23" }).waitFor();
    t.match(await page.locator("canvas").nth(1).getAttribute("aria-label"), /Unusual: 55\.2.min/);
    t.match(await truck.getAttribute("class"), /is-charted/);
    await truck.locator("button").first().click();
    await truck.locator(".alert-more").waitFor({ state: "hidden" });
    await page.context().close();
  });

  t.test("what the gateway pushes is shown as text, on top, also after the connection was lost", async (t) => {
    const { page, complaints } = await view(1600, 900);
    await filled(page);
    const [alert] = (await scene()).alerts;
    if (alert === undefined) throw new Error("the scene has no alert");
    const title = `<img src=x onerror="document.title='owned'"> 'quoted'`;
    const push = (fingerprint: string, text: string) =>
      stage.publish({ ...alert, fingerprint, title: text, key: "o'brien\\", ts: new Date(END_MS).toISOString() });
    const top = (text: string) =>
      page.locator("li.alert:first-child .alert-title").getByText(text, { exact: true }).waitFor();
    await push("hostile", title);
    await top(title);
    t.equal(await page.title(), "Millrace");
    t.same(complaints.splice(0), []);

    await stage.stopGateway();
    await page.locator("#sentence-head", { hasText: "Connection lost." }).waitFor();
    await page.screenshot({ path: join(SHOTS, "wall-lost.png") });
    await push("meanwhile", "came while nobody listened");
    await stage.startGateway();
    await top("came while nobody listened");
    await page.locator("#connection.is-open").waitFor();
    await page.context().close();
  });

  t.test("the end of the sample: how to go on, with the key masked", async (t) => {
    const { page } = await view(1600, 900);
    stage.setStats(statsAt(1));
    await page.locator("#banner").waitFor();
    const text = await page.textContent("#banner");
    t.match(text, /The sample has ended/);
    t.match(text, `curl -H "Authorization: Bearer $(cat data/local.key)" ${stage.url()}/api/v1/telemetry`);
    t.match(text, /mosquitto_pub .* -t millrace\/v1\/pit-7\/truck-99\/engine/);
    await page.getByRole("button", { name: "Hide" }).click();
    await page.locator("#banner").waitFor({ state: "hidden" }); // it draws once a frame
    stage.setStats(statsAt(0.42));
    await page.context().close();
  });

  t.test("without a key, or with a wrong one, it says what to do", async (t) => {
    const context = await browser.newContext();
    const page = await context.newPage();
    await page.goto(`${stage.url()}/`);
    await page.locator("#sentence-head", { hasText: "No key." }).waitFor();
    t.match(await page.textContent("#sentence"), /the address that npm start printed/);
    await page.goto(`${stage.url()}/?key=wrong`);
    await page.locator("#sentence-head", { hasText: "The key is not accepted." }).waitFor();
    await context.close();
  });
});

/** A page that is open, and everything the browser had to say about it. */
async function openView(browser: Browser, stage: Stage, viewport: { width: number; height: number }) {
  const context = await browser.newContext({ viewport });
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on("console", (message) => {
    // The one about reading a canvas back is about this test.
    if (!message.text().includes("willReadFrequently")) complaints.push(`${message.type()}: ${message.text()}`);
  });
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("request", (request) => {
    const { origin, protocol } = new URL(request.url());
    if (origin !== stage.url() && protocol !== "data:") complaints.push(`asked for ${request.url()}`);
  });
  await page.goto(stage.address);
  return { page, complaints };
}

async function filled(page: Page): Promise<void> {
  await page.locator("li.alert").nth(9).waitFor();
  await page.locator("#dead li").nth(7).waitFor();
  await page.locator(".trips").waitFor();
  for (const nth of [0, 1, 2]) await page.locator("canvas").nth(nth).waitFor();
  await settled(page);
}

/** The text of an element when it is as expected, or has had ten seconds to become so. */
async function said(page: Page, selector: string, expected: RegExp): Promise<string> {
  for (const endMs = performance.now() + 10_000; ; await page.waitForTimeout(50)) {
    const text = plain(await page.textContent(selector));
    if (expected.test(text) || performance.now() > endMs) return text;
  }
}

/** What was asked for has been drawn: the page draws in the frame after a change, a chart's new size is known a frame later. */
async function settled(page: Page): Promise<void> {
  await page.evaluate(
    "new Promise((done) => { let n = 4; const next = () => (n-- ? requestAnimationFrame(next) : done()); next(); })",
  );
}

function overflow(page: Page): Promise<{ right: number; bottom: number }> {
  return page.locator("html").evaluate((root) => ({
    right: root.scrollWidth - root.clientWidth,
    bottom: root.scrollHeight - root.clientHeight,
  }));
}

/** Pairs of panels that share more than a pixel. */
async function overlaps(page: Page): Promise<string[]> {
  const boxes: { name: string; x: number; y: number; width: number; height: number }[] = [];
  for (const panel of await page.locator(".top, .banner, .panel").all()) {
    const box = await panel.boundingBox();
    if (box !== null) boxes.push({ name: (await panel.getAttribute("class")) ?? "", ...box });
  }
  return boxes.flatMap((a, i) =>
    boxes.slice(i + 1).flatMap((b) => {
      const width = Math.min(a.x + a.width, b.x + b.width) - Math.max(a.x, b.x);
      const height = Math.min(a.y + a.height, b.y + b.height) - Math.max(a.y, b.y);
      return width > 1 && height > 1 ? [`${a.name} and ${b.name}`] : [];
    }),
  );
}

/** Lines that must be readable whole and are not. */
function cut(page: Page): Promise<string[]> {
  const whole =
    ".sentence, .vitals dd, .vitals dt, .figures dd, .figures dt, .meta, .side-numbers, .headline, .command code";
  return page
    .locator(whole)
    .evaluateAll((elements) =>
      elements
        .filter(
          ({ scrollWidth, clientWidth, scrollHeight, clientHeight }) =>
            scrollWidth > clientWidth + 1 || scrollHeight > clientHeight + 2,
        )
        .map((element) => `${element.className}: ${element.textContent}`),
    );
}

/** Whether every canvas holds more than its background: pixels of the line, and some of the alarm. */
function drawn(page: Page): Promise<boolean> {
  return page.locator("canvas").evaluateAll((canvases) =>
    canvases.every((element) => {
      const canvas = element as unknown as { width: number; height: number; getContext(kind: "2d"): Context };
      const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      let line = 0;
      let alarm = 0;
      for (let i = 0; i < data.length; i += 4) {
        const [red = 0, green = 0, blue = 0, alpha = 0] = data.slice(i, i + 4);
        if (alpha > 200 && blue > 200 && red < 120) line++;
        if (alpha > 200 && red > 220 && green < 140 && blue < 140) alarm++;
      }
      return line > 50 && alarm > 20;
    }),
  );
}

/** The little of a canvas that this looks at: Node's types know no browser. */
interface Context {
  getImageData(x: number, y: number, width: number, height: number): { readonly data: Uint8ClampedArray };
}

const plain = (text: string | null) => (text ?? "").replaceAll("\u202f", " ").trim();
