import { Command } from "commander";
import { findInstance, querySql } from "./client.js";
import { loadConfig } from "./config.js";
import { formatTable } from "./table.js";

export function sqlCommand(): Command {
  return new Command("sql")
    .description("run a read-only query on the running instance")
    .argument("<query>", "SQL, one SELECT; tables are described in docs/tables.md")
    .option("--data-dir <path>", "data directory of the running instance")
    .option("--json", "print {columns, rows} as JSON")
    .addHelpText("after", '\nExample:\n  millrace sql "SELECT domain, count() FROM alerts GROUP BY domain"')
    .action(async (query: string, options: { dataDir?: string; json?: boolean }) => {
      const { dataDir } = loadConfig({ dataDir: options.dataDir });
      const answer = await querySql(findInstance(dataDir), query);
      const text = options.json ? JSON.stringify(answer) : formatTable(answer.columns, answer.rows);
      process.stdout.write(`${text}\n`);
      if (answer.truncated) process.stderr.write("millrace: more rows than the limit; add LIMIT or aggregate\n");
    });
}
