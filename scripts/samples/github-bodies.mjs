/** Webhook bodies in GitHub's shape, with the fields that Millrace reads and no others. */

/**
 * @param naming `at(ms)` sample time as text, `person(name)` account, `number(pull)`, `directories(repo, list)`
 * @returns happening => `{event, body}`
 */
export function deliveryBodies({ at, person, number, directories }) {
  const bodyOf = { opened, review, merged, push };
  return (happening) => bodyOf[happening.kind](happening);

  function opened({ timeMs, repo, actor, pull }) {
    return {
      event: "pull_request",
      body: {
        action: "opened",
        number: number(pull),
        pull_request: pullRequest(pull, timeMs, false),
        ...context(repo, actor),
      },
    };
  }

  function merged({ timeMs, repo, actor, pull }) {
    return {
      event: "pull_request",
      body: {
        action: "closed",
        number: number(pull),
        pull_request: pullRequest(pull, timeMs, true),
        ...context(repo, actor),
      },
    };
  }

  function review({ timeMs, repo, actor, pull }) {
    const review = { user: person(actor), state: "approved", submitted_at: at(timeMs) };
    return {
      event: "pull_request_review",
      body: { action: "submitted", review, pull_request: pullRequest(pull, timeMs, false), ...context(repo, actor) },
    };
  }

  function push({ timeMs, repo, actor, ref, commits }) {
    const listed = commits.map(({ timeMs, author, directories: touched }) => ({
      distinct: true,
      timestamp: at(timeMs),
      author: { username: person(author).login },
      added: [],
      removed: [],
      modified: directories(repo, touched),
    }));
    const head = { head_commit: { timestamp: at(timeMs) }, commits: listed };
    const flags = { created: false, deleted: false, forced: false };
    return {
      event: "push",
      body: { ref, ...flags, pusher: { name: person(actor).login }, ...head, ...context(repo, actor) },
    };
  }

  function pullRequest(pull, updatedMs, isMerged) {
    return {
      number: number(pull),
      state: isMerged ? "closed" : "open",
      locked: false,
      draft: false,
      user: person(pull.author),
      created_at: at(pull.createdMs),
      updated_at: at(updatedMs),
      closed_at: isMerged ? at(pull.mergedMs) : null,
      merged_at: isMerged ? at(pull.mergedMs) : null,
      merged: isMerged,
      merged_by: isMerged ? person(pull.merger) : null,
      head: { ref: "topic" },
      base: { ref: "main", repo: repository(pull.repo) },
    };
  }

  function context(repo, actor) {
    const organization = { login: repo.split("/")[0] };
    return { repository: repository(repo), organization, sender: person(actor) };
  }
}

function repository(fullName) {
  const [owner, name] = fullName.split("/");
  return {
    name,
    full_name: fullName,
    private: false,
    owner: { login: owner, type: "Organization" },
    default_branch: "main",
  };
}
