// Draws what Slack, Teams and a mail reader make of a notice, as docs/img/notices.png. Run after npm run build, when a message changes;
// then look at the picture. The programs themselves cannot be run here: the drawing follows their published layout.
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";
import { ROOT } from "./setup.mjs";

const load = (path) => import(pathToFileURL(join(ROOT, "build", path)).href);
const { preview } = await load("src/cli/alerts/preview-command.js");
const { CHROMIUM_FLAGS, findChromium } = await load("test/support/chromium.js");

const found = findChromium();
if (found.kind === "missing") throw new Error(found.reason);
const html = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");

/** Slack's mrkdwn, as far as our messages use it; `&`, `<` and `>` come escaped. */
const mrkdwn = (text) =>
  text
    .replace(/<([^|>]+)\|([^>]+)>/g, '<a href="$1">$2</a>')
    .replace(/\*([^*\n]+)\*/g, "<b>$1</b>")
    .replaceAll("\n", "<br>");

function slack(language, status) {
  const { blocks } = JSON.parse(preview("slack", language, status).body);
  const drawn = blocks.map((block) => {
    if (block.type === "header") return `<h3>${html(block.text.text)}</h3>`;
    if (block.type === "section") return `<p>${mrkdwn(block.text.text)}</p>`;
    return `<p class="context">${block.elements.map(({ text }) => mrkdwn(text)).join(" ")}</p>`;
  });
  return `<section class="slack"><header>Slack, ${status}, ${language}</header><b>Millrace</b> <small>APP 6:00</small>${drawn.join("")}</section>`;
}

const COLOURS = { Attention: "#c4314b", Warning: "#a15c00", Accent: "#4f52b2", Good: "#237b4b" };

function element(item) {
  if (item.type === "Container") return `<div class="container">${item.items.map(element).join("")}</div>`;
  const style = [
    item.weight === "Bolder" ? "font-weight:600" : "",
    item.size === "Medium" ? "font-size:17px" : "",
    item.isSubtle ? "color:#616161" : "",
    item.color ? `color:${COLOURS[item.color]}` : "",
  ].join(";");
  return `<div style="${style}">${html(item.text.replace(/\\([\\`*_[\]])/g, "$1"))}</div>`;
}

function teams(language, status) {
  const { body, actions } = JSON.parse(preview("teams", language, status).body).attachments[0].content;
  const buttons = (actions ?? []).map(({ title }) => `<span class="button">${html(title)}</span>`);
  return `<section class="teams"><header>Teams, ${status}, ${language}</header><div class="card">${body.map(element).join("")}<div>${buttons.join("")}</div></div></section>`;
}

function mail(language, status) {
  const { headers, body } = preview("email", language, status);
  const { subject, from, to } = headers;
  return `<section class="mail"><header>E-mail, ${status}, ${language}</header><b>${html(subject)}</b><br><small>${html(from)} to ${html(to)}</small><pre>${html(body)}</pre></section>`;
}

const page = `<!doctype html><meta charset="utf-8"><style>
body{margin:24px;display:grid;grid-template-columns:repeat(3,480px);gap:24px;font:15px/1.45 Lato,"Segoe UI",system-ui,sans-serif;background:#eceff1;color:#1d1c1d;align-items:start}
section{background:#fff;border-radius:8px;padding:16px;overflow-wrap:anywhere} header{color:#607d8b;font-size:12px;margin-bottom:10px}
h3{margin:6px 0;font-size:18px} p{margin:8px 0} .context,small{color:#616061;font-size:13px} a{color:#1264a3;text-decoration:none}
.card{border:1px solid #e1dfdd;border-radius:4px;padding:14px;font-family:"Segoe UI",system-ui,sans-serif;font-size:14px}
.container{border-top:1px solid #e1dfdd;margin-top:10px;padding-top:10px} .button{display:inline-block;border:1px solid #c8c6c4;border-radius:4px;padding:5px 12px;margin:12px 8px 0 0;font-weight:600}
pre{white-space:pre-wrap;font:13px/1.5 ui-monospace,monospace}
</style>${slack("en", "firing")}${teams("es", "firing")}${mail("en", "firing")}${slack("es", "digest")}${teams("en", "resolved")}${mail("es", "digest")}`;

const browser = await chromium.launch({ executablePath: found.path, args: [...CHROMIUM_FLAGS] });
try {
  const tab = await browser.newPage({ viewport: { width: 1540, height: 400 } });
  await tab.setContent(page);
  await tab.screenshot({ path: join(ROOT, "docs", "img", "notices.png"), fullPage: true });
} finally {
  await browser.close();
}
