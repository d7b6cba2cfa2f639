/** A few real payloads of `@octokit/webhooks-examples` (MIT): kinds of event that rust-lang's history cannot give. */
import { createRequire } from "node:module";
import { writeNdjsonGz } from "./files.mjs";

const KINDS = [
  ...[
    "ping",
    "installation",
    "organization",
    "membership",
    "github_app_authorization",
    "security_advisory",
    "sponsorship",
  ],
  ...["issues", "issue_comment", "pull_request", "pull_request_review", "pull_request_review_comment", "push"],
  ...[
    "create",
    "delete",
    "fork",
    "star",
    "watch",
    "release",
    "gollum",
    "commit_comment",
    "discussion",
    "label",
    "milestone",
  ],
  ...["check_run", "workflow_run", "workflow_job", "deployment", "deployment_status", "repository", "member", "status"],
];
const SPREAD_MS = 86_400_000;

/** Cuts `github/examples.ndjson.gz`: the smallest payload of each kind, evenly over the day before `endMs`, unchanged. */
export function cutExamples(to, endMs) {
  const all = createRequire(import.meta.url)("@octokit/webhooks-examples");
  const lines = KINDS.map((event, n) => {
    const { examples } = all.find(({ name }) => name === event);
    const body = examples.map((example) => JSON.stringify(example)).sort((a, b) => a.length - b.length)[0];
    const at = endMs - SPREAD_MS + Math.round((SPREAD_MS / KINDS.length) * n);
    return { at, event, delivery: `oct-${String(n + 1).padStart(6, "0")}`, body };
  });
  // Not checked: real addresses and hashes of GitHub's own test accounts are what these are for.
  return {
    lines,
    duplicates: 0,
    malformed: 0,
    files: [writeNdjsonGz(to, "github/examples.ndjson.gz", lines, { checked: false })],
    aside: [],
  };
}
