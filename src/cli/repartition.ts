import { Command, InvalidArgumentError } from "commander";
import { MillraceError, PARTITIONS_MOST } from "../core/index.js";
import { type DerivedStream, repartition } from "../runtime/index.js";
import { type Connection, streamSpecs } from "../streams/index.js";
import { forgetReader, listReaders } from "../workers/keeper/index.js";
import { askCluster } from "./known-tasks.js";
import { withStoredLog } from "./stored-log.js";
import type { LogFlags } from "./with-log.js";

export function repartitionCommand(): Command {
  return new Command("repartition")
    .description("give the log another number of partitions, and have everything computed again from its inputs")
    .requiredOption("--partitions <n>", `1 to ${PARTITIONS_MOST}`, partitionCount)
    .option("--accept-loss", "also when the beginning of an input has been purged")
    .option("--data-dir <path>", "data directory of the stopped instance")
    .option("--nats-url <url>", "log of the instance")
    .addHelpText(
      "after",
      `
One number holds for all streams and pipelines. No process may run: stop "millrace up" and every "millrace run" first. Inputs stay
where they are and are filed anew; features, alerts and rows are forgotten and computed again at the next start, as a new instance
would over the same input. Nobody is told again what he was told. Interrupted, it is finished by giving the same command again;
nothing starts before that.

Example:
  millrace repartition --partitions 8 --data-dir data && millrace up --partitions 8 --data-dir data`,
    )
    .action(({ partitions, acceptLoss, ...flags }: LogFlags & { partitions: number; acceptLoss?: boolean }) =>
      withStoredLog(flags, (connection) => relay(connection, partitions, acceptLoss === true)),
    );
}

async function relay(connection: Connection, partitions: number, acceptLoss: boolean): Promise<string> {
  const { registers } = connection;
  const { tasks } = await askCluster(connection);
  if (tasks.length > 0) {
    const who = [...new Set(tasks.map(({ owner }) => owner))].join(", ");
    throw new MillraceError(
      "MR_OPTION_INVALID",
      `changing the partitions: ${who} runs tasks; stop every process first`,
    );
  }
  const specs = streamSpecs(partitions);
  const inputs = specs.filter(({ transform }) => transform !== undefined);
  const followers = specs.filter(({ sources }) => sources !== undefined);
  for (const { stream, name, kind } of await listReaders(registers)) {
    const isGone = kind === "task" && Number(name.slice(name.lastIndexOf("/") + 1)) >= partitions;
    if (isGone) await forgetReader(registers, stream, name);
  }
  await repartition({ ...connection, partitions, acceptLoss, inputs, followers, derived: derived() });
  return `${partitions} partitions: start with --partitions ${partitions}, and everything is computed again`;
}

/** What tasks write. Answers of the solver, deliveries to people and what they said are nobody's to compute: they stay. */
function derived(): readonly DerivedStream[] {
  const everywhere = Array.from({ length: PARTITIONS_MOST }, (_, partition) => partition);
  const filed = (name: string): DerivedStream => ({
    name,
    subjects: [...everywhere.map((partition) => `${name}.${partition}.>`), `${name}._at.>`],
  });
  return [
    ...["accepted", "features", "alerts"].map(filed),
    { name: "late", subjects: ["late.*", "late._at.>"] },
    { name: "dead", subjects: ["dead.github", "dead.telemetry", "dead._at.>"] },
    { name: "plans", subjects: ["plans.*.request", "plans._at._by.*.*"] },
  ];
}

function partitionCount(text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1 && value <= PARTITIONS_MOST) return value;
  throw new InvalidArgumentError(`must be a whole number from 1 to ${PARTITIONS_MOST}`);
}
