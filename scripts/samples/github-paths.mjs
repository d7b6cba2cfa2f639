/** Paths as the sample may show them: directories only, at most two deep, none that says when or who. */
import { isPrivate } from "./files.mjs";

// Fewer pull requests than this in one directory would point at single ones.
const PULLS_MIN = 5;
const TELLS = [/(19|20)\d\d/, /team|people|author|member/i]; // dates would give the time shift away

/** Distinct directories of `paths`, cut to two levels; files at the root have none. */
export function directoriesOf(paths) {
  const directories = paths.map((path) => path.split("/").slice(0, -1).slice(0, 2).join("/"));
  return [...new Set(directories)].filter((directory) => directory && allowed(directory)).sort();
}

const allowed = (directory) => isPrivate(`${directory}/`) && !TELLS.some((pattern) => pattern.test(directory));

/** A filter that keeps the directories which at least 5 of the chosen pushes touch. */
export function directoryFilter(chosen) {
  const key = (repo, directory) => `${repo} ${directory}`;
  const counts = new Map();
  for (const { repo, commits = [] } of chosen)
    for (const directory of commits.flatMap(({ directories }) => directories))
      counts.set(key(repo, directory), (counts.get(key(repo, directory)) ?? 0) + 1);
  return (repo, directories) => directories.filter((directory) => counts.get(key(repo, directory)) >= PULLS_MIN);
}
