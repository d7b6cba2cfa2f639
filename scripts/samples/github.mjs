/** rust-lang's history as webhook deliveries, by the privacy recipe of samples/README.md. */
import { writeNdjsonGz } from "./files.mjs";
import { garbleDelivery } from "./garble-github.mjs";
import { deliveryBodies } from "./github-bodies.mjs";
import { directoryFilter } from "./github-paths.mjs";
import { readHistory } from "./github-source.mjs";
import { plant } from "./plant.mjs";
import { integer, secretPick, secretShuffle } from "./random.mjs";

const WEEK_MS = 7 * 86_400_000;
const SPAN_WEEKS = 26;
const COMMITS_PER_PUSH = 20; // GitHub sends up to 2,048; small bodies are enough here
// Which half-year is cut is part of the secret: a published one would give the time shift away.
const BUSY = { deliveries: 11_000, reviews: 1_200 };
const SHIFT_WEEKS_MIN = 8;

/** Cuts `github/deliveries.ndjson.gz`. The last sample week ends at `endMs`, a Monday 00:00 UTC. */
export function cutGithub(random, from, to, endMs) {
  const all = happenings(readHistory(`${from}/github`), random);
  const firstMs = secretPick(busyStarts(all, endMs));
  const chosen = within(all, firstMs, firstMs + SPAN_WEEKS * WEEK_MS).sort((a, b) => a.timeMs - b.timeMs);
  const shiftMs = endMs - SPAN_WEEKS * WEEK_MS - firstMs;
  const bodies = deliveryBodies({
    at: (timeMs) => `${new Date(timeMs + shiftMs).toISOString().slice(0, 19)}Z`,
    person: pseudonyms(chosen),
    number: renumbered(chosen),
    directories: directoryFilter(chosen),
  });
  const deliveries = chosen
    .map((happening) => ({
      // A delivery leaves GitHub moments after the fact, so neighbours sometimes overtake each other.
      at: happening.timeMs + shiftMs + 200 + integer(random, 2_500),
      ...bodies(happening),
    }))
    .sort((a, b) => a.at - b.at)
    .map(({ at, event, body }, n) => ({ at, event, delivery: guid(n + 1), body: JSON.stringify(body) }));
  const planted = plant(random, deliveries, garbleDelivery(deliveries.length, guid));
  return { ...planted, files: [writeNdjsonGz(to, "github/deliveries.ndjson.gz", planted.lines)], aside: [] };
}

// Not like GitHub's GUIDs on purpose: those are long hex strings, which the sample must not hold.
const guid = (n) => `rl-${String(n).padStart(6, "0")}`;

/** Everything that would have been delivered: `{kind, timeMs, repo, actor, …}`. */
function happenings({ pulls, commits }, random) {
  return [...pulls.flatMap((pull) => pullHappenings(pull, random)), ...pushes(commits)];
}

function pullHappenings(pull, random) {
  const { repo, author, reviewers, merger, createdMs, lastCommitMs, mergedMs, directories } = pull;
  // Git does not record when a review was given: it is put into the second half of the time between the last commit and
  // the merge. A merge can be older than the last commit (rewritten dates): then a minute before the merge.
  const waitMs = mergedMs - lastCommitMs;
  const reviewMs = () => (waitMs > 0 ? mergedMs - Math.round((waitMs * random()) / 2) : mergedMs - 60_000);
  const reviews = reviewers.map((actor) => ({
    kind: "review",
    timeMs: Math.max(reviewMs(), createdMs),
    repo,
    actor,
    pull,
  }));
  const events = [
    { kind: "opened", timeMs: createdMs, repo, actor: author, pull },
    ...reviews,
    { kind: "merged", timeMs: mergedMs, repo, actor: merger, pull },
  ];
  if (directories.length > 0) {
    const commit = { timeMs: mergedMs, author, directories };
    events.push({ kind: "push", timeMs: mergedMs, repo, actor: merger, ref: "refs/heads/main", commits: [commit] });
  }
  return events;
}

// One push for each author, repository and hour, delivered with its last commit.
function pushes(commits) {
  const groups = new Map();
  for (const commit of commits) {
    const key = `${commit.repo} ${commit.author} ${Math.floor(commit.timeMs / 3_600_000)}`;
    groups.set(key, [...(groups.get(key) ?? []), { ...commit, directories: [] }]);
  }
  return [...groups.values()].flatMap((group) => {
    const ordered = group.sort((a, b) => a.timeMs - b.timeMs);
    const chunks = [];
    for (let i = 0; i < ordered.length; i += COMMITS_PER_PUSH) chunks.push(ordered.slice(i, i + COMMITS_PER_PUSH));
    return chunks.map((chunk) => ({
      kind: "push",
      timeMs: chunk.at(-1).timeMs,
      repo: chunk[0].repo,
      actor: chunk[0].author,
      ref: "refs/heads/topic",
      commits: chunk,
    }));
  });
}

const within = (all, startMs, endMs) => all.filter(({ timeMs }) => timeMs >= startMs && timeMs < endMs);

// Mondays 00:00 UTC from which 26 weeks are busy and the shift is not a small one.
function busyStarts(all, endMs) {
  const weekOf = (timeMs) => Math.floor((timeMs - endMs) / WEEK_MS);
  const counts = new Map();
  for (const { timeMs, kind } of all) {
    const count = counts.get(weekOf(timeMs)) ?? { deliveries: 0, reviews: 0 };
    count.deliveries += 1;
    if (kind === "review") count.reviews += 1;
    counts.set(weekOf(timeMs), count);
  }
  const sum = (start, name) => {
    let total = 0;
    for (let week = start; week < start + SPAN_WEEKS; week++) total += counts.get(week)?.[name] ?? 0;
    return total;
  };
  const starts = [...counts.keys()].filter(
    (start) =>
      sum(start, "deliveries") >= BUSY.deliveries &&
      sum(start, "reviews") >= BUSY.reviews &&
      Math.abs(start + SPAN_WEEKS) >= SHIFT_WEEKS_MIN,
  );
  return starts.map((start) => endMs + start * WEEK_MS);
}

// Numbers in an order that nothing can repeat; automation keeps its type, not its name.
function pseudonyms(chosen) {
  const seen = new Set(chosen.flatMap(peopleOf));
  const isBot = (name) => name.startsWith("bot:");
  const people = secretShuffle([...seen].filter((name) => !isBot(name)));
  const bots = secretShuffle([...seen].filter(isBot));
  const accounts = new Map([
    ...people.map((name, i) => [name, { login: `p${String(i + 1).padStart(3, "0")}`, type: "User" }]),
    ...bots.map((name, i) => [name, { login: `bot-${i + 1}[bot]`, type: "Bot" }]),
  ]);
  return (name) => accounts.get(name);
}

const peopleOf = ({ actor, pull, commits = [] }) => [
  actor,
  ...(pull ? [pull.author, pull.merger] : []),
  ...commits.map(({ author }) => author),
];

// From 1 in each repository, in the order of opening.
function renumbered(chosen) {
  const pulls = [...new Set(chosen.flatMap(({ pull }) => (pull ? [pull] : [])))].sort(
    (a, b) => a.createdMs - b.createdMs,
  );
  const counts = new Map();
  const numbers = new Map();
  for (const pull of pulls) {
    counts.set(pull.repo, (counts.get(pull.repo) ?? 0) + 1);
    numbers.set(pull, counts.get(pull.repo));
  }
  return (pull) => numbers.get(pull);
}
