import { readFile } from "node:fs/promises";
import { LineCounter, parseDocument } from "yaml";
import type { z } from "zod";
import { MillraceError } from "../core/index.js";

/** Keys and indexes from the top of the document. */
export type YamlPath = readonly (string | number)[];

/** Something wrong at a place of a file. */
export interface Problem {
  readonly path: YamlPath;
  readonly message: string;
}

/** A YAML file that fits its schema. */
export interface YamlFile<T> {
  readonly value: T;
  /** Errors: MR_OPTION_INVALID with file, line and column of each problem; nothing when there is none. */
  refuse(problems: readonly Problem[]): void;
  /** `file:line:column` of what is there, or of the nearest thing around it. */
  placeOf(path: YamlPath): string;
}

/** Reads and checks a file. Errors: MR_OPTION_INVALID with file, line and column of everything that is wrong. */
export async function readYamlFile<T>(path: string, schema: z.ZodType<T>, docs?: string): Promise<YamlFile<T>> {
  const text = await readFile(path, "utf8").catch((cause: unknown) => {
    throw new MillraceError("MR_OPTION_INVALID", `reading ${path}: ${(cause as Error).message}`, { cause });
  });
  return parseYamlFile(path, text, schema, docs);
}

/** As `readYamlFile`, of a text that is at hand. */
export function parseYamlFile<T>(
  path: string,
  text: string,
  schema: z.ZodType<T>,
  docs = "docs/alerts.md",
): YamlFile<T> {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const at = (offset: number): string => {
    const { line, col } = lines.linePos(offset);
    return `${path}:${line}:${col}`;
  };
  const syntax = document.errors.map(({ message, pos: [from] }) => `${at(from)}: ${message}`);
  if (syntax.length > 0) throw new MillraceError("MR_OPTION_INVALID", syntax.join("\n"));
  const placeOf = (of: YamlPath): string => {
    for (let length = of.length; length > 0; length--) {
      const node = document.getIn(of.slice(0, length), true) as { range?: readonly number[] | null } | undefined;
      if (node?.range) return at(node.range[0] as number);
    }
    return at(0);
  };
  const refuse = (problems: readonly Problem[]): void => {
    if (problems.length === 0) return;
    const said = problems.map(({ path: of, message }) => `${placeOf(of)}: ${nameOf(of)}${message}`);
    throw new MillraceError("MR_OPTION_INVALID", said.join("\n"));
  };
  const parsed = schema.safeParse(document.toJS() ?? {});
  if (!parsed.success) {
    refuse(
      parsed.error.issues.map((issue) => {
        const path = issue.path as YamlPath;
        if (issue.code !== "unrecognized_keys") return { path, message: issue.message };
        return {
          path: [...path, issue.keys[0] as string],
          message: `is no option here; remove it or see ${docs}`,
        };
      }),
    );
  }
  return { value: parsed.data as T, refuse, placeOf };
}

function nameOf(path: YamlPath): string {
  return path.length === 0
    ? ""
    : `${path
        .map((part) => (typeof part === "number" ? `[${part}]` : `.${part}`))
        .join("")
        .slice(1)}: `;
}
