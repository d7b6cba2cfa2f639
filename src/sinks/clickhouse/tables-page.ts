import { RESULT_TABLES, TABLES, type Table } from "./tables.js";

/** A question people ask, and the statement that answers it. A test runs each. */
export interface ExampleQuery {
  readonly question: string;
  readonly sql: string;
}

export const EXAMPLE_QUERIES: readonly ExampleQuery[] = [
  {
    question: "Which alerts are in force now? The newest revision of a fingerprint counts.",
    sql: `SELECT fingerprint, argMax(severity, revision) AS severity, argMax(title, revision) AS title, max(ts) AS since
FROM alerts
GROUP BY fingerprint
HAVING argMax(state, revision) = 'firing'
ORDER BY since DESC
LIMIT 20`,
  },
  {
    question: "Litres refuelled per truck and day, from the readings as they came in.",
    sql: `SELECT equipment, toDate(ts) AS day, round(sum(values['litres'])) AS litres, count() AS refuellings
FROM readings
WHERE site = 'minez' AND \`group\` = 'refuel'
GROUP BY equipment, day
ORDER BY day, equipment`,
  },
  {
    question: "Deliveries per repository, hour and kind of event.",
    sql: `SELECT owner, repo, toStartOfHour(ts) AS hour, event, count() AS deliveries
FROM github_events
GROUP BY owner, repo, hour, event
ORDER BY hour, deliveries DESC
LIMIT 100`,
  },
  {
    question: "What did the new plan of each site save, and how sure is it?",
    sql: `SELECT site, ts, status, litres_before, litres_after, saved_litres, round(100 * saved_ratio01, 1) AS saved_percent, gap01
FROM plans
ORDER BY ts DESC
LIMIT 10`,
  },
  {
    question: "Why were deliveries set aside? With the beginning of one of them.",
    sql: `SELECT domain, reason, count() AS deliveries, substring(any(bytes), 1, 80) AS example
FROM dead_letters
GROUP BY domain, reason
ORDER BY deliveries DESC`,
  },
];

/** docs/tables.md, made from the table list so that it cannot drift: a test compares. Ends with a line break. */
export function tablesPage(): string {
  const bookkeeping = TABLES.filter((table) => !RESULT_TABLES.includes(table));
  return `${[
    "# Tables",
    "Made from `src/sinks/clickhouse/tables.ts`; `UPDATE_DOCS=1 npm test` rewrites it. The same tables with the same comments are in " +
      "the database (`SHOW CREATE TABLE alerts`), embedded or server, in database `millrace`.",
    "Every row is stored once, however often a block had to be sent, and rows are only ever added. Times are UTC with milliseconds. " +
      "There is no TTL: history replayed from last year stays.",
    "## Arrival columns",
    "Columns whose names begin with an underscore say how the row came here: from which message of which log. They depend on the " +
      "order in which the log received things. Everything else in a row is a function of the events alone, so two runs over the same " +
      "events store equal rows once the arrival columns are left out:",
    "```sql\nSELECT * EXCEPT '^_' FROM features ORDER BY ALL\n```",
    "`_seq` counts messages of the stream named with each table, `_index` the records within one message; `(_incarnation, _seq, " +
      "_index)` and `_id` are unique in a table.",
    "## Results",
    ...RESULT_TABLES.map(section),
    "## Bookkeeping",
    ...bookkeeping.map(section),
    "## Questions",
    "For `millrace sql`, `POST /api/v1/query` or any ClickHouse client. Queries through Millrace only read, and stop after 10 s or " +
      "10,000 rows.",
    ...EXAMPLE_QUERIES.map(({ question, sql }) => `${question}\n\n\`\`\`sql\n${sql}\n\`\`\``),
  ].join("\n\n")}\n`;
}

function section({ name, about, stream, orderBy, columns, engine }: Table): string {
  const source = stream === undefined ? "" : ` From stream \`${stream}\`.`;
  return [
    `### ${name}`,
    `${about}${source} ${engine.replace(/\(.*/, "")}, sorted by ${orderBy.map((column) => `\`${column}\``).join(", ")}.`,
    [
      "| column | type | unit | what it is |",
      "| --- | --- | --- | --- |",
      ...columns.map(({ name: column, type, unit, about: text, arrival, alias }) => {
        const notes = [
          arrival && stream !== undefined ? "*arrival*" : "",
          alias === undefined ? "" : `computed: \`${alias}\``,
        ].filter(Boolean);
        return `| \`${column}\` | \`${type}\` | ${unit} | ${[text, ...notes].join("; ")} |`;
      }),
    ].join("\n"),
  ].join("\n\n");
}
