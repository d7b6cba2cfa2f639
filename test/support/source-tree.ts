import { readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { packageRoot } from "../../src/core/index.js";

/** One source file, as the house rules see it. Paths are relative to the project, with forward slashes. */
export interface SourceFile {
  readonly path: string;
  readonly text: string;
  readonly imports: readonly Import[];
}

export interface Import {
  readonly line: number;
  /** A package ("nats", "node:fs") or, for our own files, the path of the TypeScript source. */
  readonly target: string;
  readonly own: boolean;
  readonly typeOnly: boolean;
}

const IGNORED = new Set(["node_modules", "build", "dist", ".tap", ".cache", ".git", "data", "coverage"]);
/** `import x, { y } from "z"`, `export * from "z"`, `import "z"`, `import("z")` and `new URL("./z.js"` for threads. */
const IMPORT =
  /^[ \t]*(?:import|export)\s+(type\s+)?(?:\w+\s*,?\s*)?(?:\{[^}]*\}|\*(?:\s+as\s+\w+)?)?\s*from\s+"([^"\n]+)"|^[ \t]*import\s+"([^"\n]+)"|\bimport\(\s*"([^"\n]+)"|\bnew URL\(\s*"(\.[^"\n]+)"/gm;

/** All files below `folder` whose name ends in `.extension`, in order, without what is installed or compiled. */
export function listFiles(folder: string, ...extensions: readonly string[]): readonly string[] {
  const root = packageRoot();
  const found: string[] = [];
  const walk = (path: string): void => {
    for (const name of readdirSync(join(root, path)).sort()) {
      const inside = path === "." ? name : `${path}/${name}`;
      if (IGNORED.has(name)) continue;
      if (statSync(join(root, inside)).isDirectory()) walk(inside);
      else if (extensions.length === 0 || extensions.some((extension) => name.endsWith(`.${extension}`)))
        found.push(inside);
    }
  };
  if (statSync(join(root, folder), { throwIfNoEntry: false }) !== undefined) walk(folder);
  return found;
}

export function readText(path: string): string {
  return readFileSync(join(packageRoot(), path), "utf8");
}

export function readSource(path: string): SourceFile {
  const text = readText(path);
  return { path, text, imports: parseImports(path, text) };
}

/** Static imports and exports, `import("…")` and the files that threads are started from. */
export function parseImports(path: string, text: string): readonly Import[] {
  return [...text.matchAll(IMPORT)].map((match) => {
    const specifier = match.slice(2).find((part) => part !== undefined) ?? "";
    const own = specifier.startsWith(".");
    const target = own ? normalize(join(dirname(path), specifier)).replace(/\.js$/, ".ts") : packageName(specifier);
    return { line: lineAt(text, match.index), target, own, typeOnly: match[1] !== undefined };
  });
}

/** The text with comments blanked out, line breaks kept, so that what they say is not taken for code. */
export function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\/|(?<![:"'`/\\])\/\/[^\n]*/g, (comment) => comment.replace(/[^\n]/g, " "));
}

/** `path:line` of every match of `pattern` in the code (not the comments) of a file. */
export function findInCode({ path, text }: SourceFile, pattern: RegExp): readonly string[] {
  const lines = withoutComments(text).split("\n");
  return lines.flatMap((line, index) => {
    const match = pattern.exec(line);
    return match ? [`${path}:${index + 1}: ${match[0].trim()}`] : [];
  });
}

function packageName(specifier: string): string {
  if (specifier.startsWith("node:")) return specifier;
  return specifier
    .split("/")
    .slice(0, specifier.startsWith("@") ? 2 : 1)
    .join("/");
}

function lineAt(text: string, index: number): number {
  return text.slice(0, index).split("\n").length;
}
