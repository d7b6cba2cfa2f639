/** Pull requests and commits of the shared data, reduced at once to what the sample may use. */
import { readCsvGz, readNdjsonGz } from "./files.mjs";
import { directoriesOf } from "./github-paths.mjs";

const TEAM_REPOSITORY = "rust-lang/team"; // who belongs to which team: never in the sample
const DAY_MS = 86_400_000;
const OPEN_MAX_MS = 30 * DAY_MS;
const COMMITS_FROM_MS = Date.UTC(2018, 0, 1); // the commit list starts here

/** `{pulls, commits}`, times in UTC ms. Titles, hashes, co-authors and line counts are not even read into the result. */
export function readHistory(folder) {
  const pulls = readNdjsonGz(`${folder}/rust-prs-2014-2025H1.jsonl.gz`).flatMap((record) => {
    // A roll-up repeats others. Without a visible branch (squash) neither the opening nor the merger is known.
    if (record.repo === TEAM_REPOSITORY || record.batch || !record.first_commit_at || !record.merged_by) return [];
    const mergedMs = Date.parse(record.merged_at);
    const createdMs = openedMs(Date.parse(record.first_commit_at), Date.parse(record.last_commit_at), mergedMs);
    if (createdMs === undefined || mergedMs < COMMITS_FROM_MS) return [];
    return [
      {
        repo: record.repo,
        author: record.author,
        reviewers: record.reviewers.filter((reviewer) => reviewer !== record.author), // GitHub allows no review of one's own
        merger: record.merged_by,
        createdMs,
        lastCommitMs: Date.parse(record.last_commit_at),
        mergedMs,
        directories: directoriesOf(record.paths ?? []),
      },
    ];
  });
  const commits = readCsvGz(`${folder}/rust-commits-2018-2025H1.csv.gz`)
    .filter(({ repo }) => repo !== TEAM_REPOSITORY)
    .map(({ repo, author, committed_at }) => ({ repo, author, timeMs: Date.parse(committed_at) }));
  return { pulls, commits };
}

// Git knows no opening either. The first commit is the closest thing; on a stale branch, or with a rewritten date, the
// last one. When neither lies in the 30 days before the merge the pull request is left out.
function openedMs(firstMs, lastMs, mergedMs) {
  const plausible = (timeMs) => timeMs <= mergedMs && mergedMs - timeMs <= OPEN_MAX_MS;
  return [firstMs, lastMs].find(plausible);
}
