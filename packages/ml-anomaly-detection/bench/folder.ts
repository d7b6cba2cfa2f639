import { mkdirSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";

/** Relative paths of the CSV files below `root`, in order, without `.gz`. */
export function csvFiles(root: string): { path: string; name: string }[] {
  const found: { path: string; name: string }[] = [];
  const walk = (folder: string) => {
    for (const entry of readdirSync(folder).sort()) {
      const path = join(folder, entry);
      if (statSync(path).isDirectory()) walk(path);
      else if (/\.csv(\.gz)?$/.test(entry)) found.push({ path, name: relative(root, path).replace(/\.gz$/, "") });
    }
  };
  walk(root);
  return found;
}

export function writeLines(path: string, lines: readonly string[]): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `${lines.join("\n")}\n`);
}
