// node scripts/api.mjs: writes docs/api.md from the declarations and docstrings of what the engine's door exports. A test fails
// when the page is not current. Needs a build.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const DOOR = join(ROOT, "build", "src", "operators", "engine", "index.d.ts");
const PAGE = join(ROOT, "docs", "api.md");
/** Sections in the order a newcomer needs them, by folder of the declarations. */
const SECTIONS = {
  topology: "Topologies and streams",
  windows: "Windows",
  aggregates: "Aggregates",
  keyed: "Keyed steps",
  joins: "Joins and tables",
  time: "Time",
  state: "State",
  testkit: "Test kit",
};
/** Made by the API, not by its users. */
const NOT_CONSTRUCTED = new Set(["Stream", "KeyedStream", "Windowed", "Topology", "Table"]);

/** The page, as it should be. */
export function apiPage() {
  const exported = exportsOf(DOOR);
  const lines = [
    "# The engine's API",
    "",
    "Made from the docstrings by `node scripts/api.mjs`; concepts are in [engine.md](engine.md). Private and constructor members are left out.",
  ];
  for (const [folder, title] of Object.entries(SECTIONS)) {
    const own = exported.filter(({ file }) => dirname(file).endsWith(`/${folder}`));
    lines.push("", `## ${title}`);
    for (const { name, file } of own.sort((a, b) => (a.name.toLowerCase() < b.name.toLowerCase() ? -1 : 1)))
      lines.push("", `### ${name}`, "", "```ts", declarationOf(name, file), "```");
  }
  const known = new Set(Object.keys(SECTIONS));
  const left = exported.filter(({ file }) => !known.has(dirname(file).split("/").at(-1)));
  if (left.length > 0) throw new Error(`no section for ${left.map(({ name }) => name).join(", ")}`);
  return `${lines.join("\n")}\n`;
}

function parse(file) {
  return ts.createSourceFile(file, readFileSync(file, "utf8"), ts.ScriptTarget.Latest, true);
}

/** Names that the door exports, each with the file that declares it. */
function exportsOf(door) {
  return parse(door).statements.flatMap((statement) =>
    ts.isExportDeclaration(statement) && statement.exportClause !== undefined
      ? statement.exportClause.elements.map(({ name }) => ({
          name: name.text,
          file: join(dirname(door), statement.moduleSpecifier.text.replace(/\.js$/, ".d.ts")),
        }))
      : [],
  );
}

/** All declarations of a name (a function has one per overload), with their docstrings. */
function declarationOf(name, file) {
  const found = parse(file).statements.filter((statement) => namesOf(statement).includes(name));
  if (found.length === 0) throw new Error(`${relative(ROOT, file)} does not declare ${name}`);
  return found.map((statement) => textOf(statement, name)).join("\n");
}

function namesOf(statement) {
  if (ts.isVariableStatement(statement)) return statement.declarationList.declarations.map(({ name }) => name.text);
  return statement.name === undefined ? [] : [statement.name.text];
}

function textOf(statement, name) {
  let text = statement.getFullText().trim();
  if (ts.isClassDeclaration(statement)) {
    const hidden = statement.members.filter(
      (member) =>
        member.name?.kind === ts.SyntaxKind.PrivateIdentifier ||
        (ts.isConstructorDeclaration(member) && NOT_CONSTRUCTED.has(name)),
    );
    for (const member of hidden) text = text.replace(member.getFullText(), "");
  }
  return text.replace(/^export (?:declare )?/m, "").replaceAll("    ", "  ");
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  if (!existsSync(DOOR)) throw new Error(`there is no ${relative(ROOT, DOOR)}: build first`);
  writeFileSync(PAGE, apiPage());
  console.error(`wrote ${relative(ROOT, PAGE)}`);
}
