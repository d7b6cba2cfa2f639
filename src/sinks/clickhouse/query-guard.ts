import { MillraceError } from "../../core/index.js";

/** First words of statements that only read. */
const READS = /^\(*(?:SELECT|WITH|SHOW|DESCRIBE|EXPLAIN|EXISTS)\b/;

/** Table functions that make rows of nothing or of their arguments. Every other one may reach files, networks or whole databases. */
const HARMLESS_TABLE_FUNCTIONS = new Set(
  [
    "numbers",
    "numbers_mt",
    "zeros",
    "zeros_mt",
    "generateSeries",
    "generate_series",
    "primes",
    "values",
    "view",
    "generateRandom",
    "format",
    "null",
  ].map(lower),
);

/**
 * Functions that reach outside or hold a thread, and that ClickHouse allows in read-only mode: `file` reads any file of the machine
 * in the embedded engine. Refused as a name, not only as a call: `arrayMap(file, …)` and `APPLY(file)` call them too.
 */
const FORBIDDEN_NAMES = new Set(
  [
    "file",
    "catboostEvaluate",
    "showCertificate",
    "logTrace",
    "generateSerialID",
    "sleep",
    "sleepEachRow",
    "aiClassify",
    "aiEmbed",
    "aiExtract",
    "aiGenerate",
    "aiTranslate",
  ].map(lower),
);

/**
 * Throws MR_QUERY_REFUSED, with what to do instead, unless `sql` only reads tables.
 *
 * `sql`: one statement as ClickHouse's own `formatQuerySingleLine` wrote it. That has no comments, no escaped identifiers and
 * one way of writing strings, so words can be told from data here without a parser of ours that the server might disagree with.
 * `tableFunctions`: names of the server's table functions, lower case.
 * The engine's read-only mode stands behind this: each refuses what the other may miss. O(length).
 */
export function refuseUnlessReading(sql: string, tableFunctions: ReadonlySet<string>): void {
  if (!READS.test(sql)) {
    const word = /^\(*\s*(\w+)/.exec(sql)?.[1] ?? "that";
    throw refused(
      `${word.toUpperCase()} statements are refused: queries only read. Start with SELECT, WITH, SHOW, DESCRIBE, EXPLAIN or EXISTS`,
    );
  }
  const bare = withoutText(sql);
  if (/\bINTO OUTFILE\b/i.test(bare))
    throw refused("INTO OUTFILE is refused: it writes a file. The answer has the rows");
  if (/\bPARALLEL WITH\b/i.test(bare)) throw refused("PARALLEL WITH is refused: send one statement");
  if (/\bSETTINGS \w+ = /.test(bare)) throw refused("SETTINGS is refused: limits are fixed. Leave the clause out");
  if (/\bFORMAT \w+$/.test(bare)) throw refused("FORMAT is refused: the answer is JSON. Leave the clause out");
  for (const { name, called } of names(bare)) {
    if (FORBIDDEN_NAMES.has(name))
      throw refused(`the name ${name} is refused: a function of that name reaches outside the database`);
    if (called && tableFunctions.has(name) && !HARMLESS_TABLE_FUNCTIONS.has(name)) {
      throw refused(`the table function ${name} is refused: it reaches outside the tables. SHOW TABLES lists them`);
    }
  }
}

export function refused(reason: string): MillraceError {
  return new MillraceError("MR_QUERY_REFUSED", reason);
}

/** String literals become '', names lose their quotes. */
function withoutText(sql: string): string {
  return sql.replace(
    /'(?:[^'\\]|\\.|'')*'|`((?:[^`\\]|\\.)*)`|"((?:[^"\\]|\\.)*)"/gs,
    (_, ticked?: string, quoted?: string) => ticked ?? quoted ?? "''",
  );
}

function* names(bare: string): Iterable<{ name: string; called: boolean }> {
  for (const match of bare.matchAll(/([A-Za-z_]\w*)(\s*\()?/g)) {
    if (match[1] !== undefined) yield { name: lower(match[1]), called: match[2] !== undefined };
  }
}

function lower(name: string): string {
  return name.toLowerCase();
}
