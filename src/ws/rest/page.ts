import { createHash } from "node:crypto";
import type { HttpReply } from "../../core/index.js";

/** What the page needs of an OpenAPI document. */
export interface Described {
  readonly info: { readonly title: string; readonly description?: string | undefined };
  readonly paths?: object | undefined;
  readonly components?: { readonly schemas?: object | undefined } | undefined;
}

interface Operation {
  readonly summary?: string;
  readonly description?: string;
  readonly parameters?: readonly {
    name: string;
    in: string;
    description?: string;
    required?: boolean;
    schema?: object;
  }[];
  readonly requestBody?: { readonly content: Readonly<Record<string, { schema?: object }>> };
  readonly responses: Readonly<
    Record<string, { description: string; content?: Readonly<Record<string, { schema?: object }>> }>
  >;
}

const STYLE = `
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}
h2{margin-top:2.5rem;border-top:1px solid #ccc;padding-top:1rem}
code,pre{font:14px/1.4 ui-monospace,monospace;background:#f4f4f4;border-radius:3px}
code{padding:1px 4px}pre{padding:.75rem;overflow:auto}
table{border-collapse:collapse;width:100%}td,th{text-align:left;vertical-align:top;border-bottom:1px solid #ddd;padding:.3rem .6rem .3rem 0}
@media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}code,pre{background:#282828}}
`;
const STYLE_HASH = createHash("sha256").update(STYLE).digest("base64");

/** An OpenAPI document as one page: no script, nothing loaded from anywhere. */
export function apiPage(document: Described): HttpReply {
  const { info, paths = {}, components = {} } = document;
  const operations = Object.entries(paths as Record<string, Record<string, Operation>>).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => section(method, path, operation)),
  );
  const schemas = Object.entries(components.schemas ?? {}).map(
    ([name, schema]) => `<h3 id="${markup(name)}">${markup(name)}</h3><pre>${shown(schema)}</pre>`,
  );
  const html = `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>${markup(info.title)} API</title><style>${STYLE}</style></head>
<body><h1>${markup(info.title)} API</h1><p>${prose(info.description ?? "")} The same as data: <a href="openapi.json">openapi.json</a>.</p>
${operations.join("\n")}<h2>Schemas</h2>${schemas.join("\n")}</body></html>`;
  const policy = `default-src 'none'; style-src 'sha256-${STYLE_HASH}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`;
  const headers = { "content-security-policy": policy, "referrer-policy": "no-referrer" };
  return { status: 200, type: "text/html; charset=utf-8", headers, body: html };
}

function section(method: string, path: string, operation: Operation): string {
  const { summary = "", description = "", parameters = [], requestBody, responses } = operation;
  const rows = parameters.map(
    ({ name, in: place, required, description: about = "", schema }) =>
      `<tr><td><code>${markup(name)}</code></td><td>${markup(place)}${required ? ", required" : ""}</td><td>${prose(about)} <code>${shown(schema ?? {}, 0)}</code></td></tr>`,
  );
  const bodies = Object.entries(requestBody?.content ?? {}).map(
    ([type, { schema }]) => `<p>Body <code>${markup(type)}</code></p><pre>${shown(schema ?? {})}</pre>`,
  );
  const answers = Object.entries(responses).map(([status, { description: about, content = {} }]) => {
    const types = Object.entries(content).map(
      ([type, { schema }]) => `<code>${markup(type)}</code> <code>${shown(schema ?? {}, 0)}</code>`,
    );
    return `<tr><td>${markup(status)}</td><td>${prose(about)}</td><td>${types.join("<br>")}</td></tr>`;
  });
  return `<h2><code>${markup(method.toUpperCase())} ${markup(path)}</code> ${markup(summary)}</h2><p>${prose(description)}</p>
${rows.length === 0 ? "" : `<table><tr><th>Parameter</th><th>In</th><th></th></tr>${rows.join("")}</table>`}
${bodies.join("")}<table><tr><th>Answer</th><th></th><th></th></tr>${answers.join("")}</table>`;
}

/** A schema as JSON, or the link of the one it refers to. */
function shown(schema: object, indent = 2): string {
  const reference = (schema as { $ref?: string }).$ref?.split("/").at(-1);
  if (reference !== undefined) return `<a href="#${markup(reference)}">${markup(reference)}</a>`;
  return markup(JSON.stringify(schema, undefined, indent));
}

function prose(text: string): string {
  return markup(text).replace(/`([^`]+)`/g, "<code>$1</code>");
}

/** Text that came from outside, safe inside elements and quoted attributes. */
export function markup(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}
