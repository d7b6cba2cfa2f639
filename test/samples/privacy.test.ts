import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { type Delivery, recordsOf, SAMPLES, textOf } from "./records.js";

// Real payloads, published by their authors as they are: the one exception of the recipe.
const EXAMPLES = "github/examples.ndjson.gz";
const FORBIDDEN = [
  { what: "team files", pattern: /people\// },
  { what: "addresses", pattern: /@/ },
  { what: "pseudonyms of the shared data", pattern: /u_/ },
  { what: "identities of the shared data", pattern: /e_/ },
  // Digits alone are times and counters; a letter alone makes a word.
  { what: "hashes", pattern: /(?=[0-9]*[a-f])(?=[a-f]*[0-9])[0-9a-f]{7,}/ },
];

const files = readdirSync(SAMPLES, { recursive: true, encoding: "utf8" }).map((path) => path.replaceAll("\\", "/"));

t.test("no sample file holds what could lead to a person", async (t) => {
  const packed = files.filter((path) => path.endsWith(".gz") && path !== EXAMPLES);
  t.ok(packed.length >= 3, "there is something to search");
  const texts = packed.map((path) => [path, textOf(path)] as const);
  const network = "mine/network.json";
  for (const [path, text] of [...texts, [network, readFileSync(join(SAMPLES, network), "utf8")] as const])
    for (const { what, pattern } of FORBIDDEN) t.equal(pattern.exec(text)?.[0], undefined, `${path}: no ${what}`);
});

t.test("the search finds what it is for", async (t) => {
  const planted = ["people/x.toml", "a@b.org", "u_66b820ca6c", "e_7d98297370", "e24cadb4"];
  for (const [i, text] of planted.entries()) t.match(text, FORBIDDEN[i]?.pattern, text);
});

t.test("deliveries have only the fields of the recipe", async (t) => {
  const known = new Set(
    (
      "action number pull_request review repository organization sender ref created deleted forced pusher head_commit " +
      "commits state locked draft user created_at updated_at closed_at merged_at merged merged_by head base repo name " +
      "full_name private owner login type default_branch submitted_at distinct timestamp author username added removed " +
      "modified"
    ).split(" "),
  );
  const fields = new Set<string>();
  const logins = new Set<string>();
  const directories = new Set<string>();
  const repositories = new Set<string>();
  const localTimes: string[] = [];
  for (const { body } of recordsOf<Delivery>("github/deliveries.ndjson.gz")) {
    for (const [, name = ""] of body.matchAll(/"(\w+)":/g)) fields.add(name);
    for (const [, login = ""] of body.matchAll(/"(?:login|username)":"([^"]*)"/g)) logins.add(login);
    for (const [, list = ""] of body.matchAll(/"modified":\[([^\]]*)\]/g))
      for (const directory of list.split(",").filter(Boolean)) directories.add(directory);
    for (const [, name = ""] of body.matchAll(/"full_name":"([^"]*)"/g)) repositories.add(name);
    if (/T\d\d:\d\d:\d\d(?!Z)/.test(body)) localTimes.push(body);
  }
  t.same(localTimes, [], "no UTC offset");
  t.same(
    [...fields].filter((name) => !known.has(name)),
    [],
  );
  t.same(
    [...logins].filter((login) => !/^(p\d{3,}|bot-\d+\[bot\]|rust-lang)$/.test(login)),
    [],
  );
  t.same(
    [...directories].filter((directory) => directory.split("/").length > 2 || /(19|20)\d\d/.test(directory)),
    [],
  );
  t.notOk(repositories.has("rust-lang/team"), "the team repository is left out");
});

t.test("each licence lies beside its data", async (t) => {
  for (const licence of [
    "github/LICENSE-octokit-webhooks-examples.txt",
    "mine/LICENSE-minez.txt",
    "sensors/LICENSE-NAB.txt",
  ])
    t.ok(files.includes(licence), licence);
});
