#!/usr/bin/env node
import { Command, CommanderError } from "commander";
import { isMillraceError } from "../core/index.js";
import { alertsCommand } from "./alerts.js";
import { auditCommand } from "./audit.js";
import { backtestCommand } from "./backtest.js";
import { deadCommand } from "./dead.js";
import { doctorCommand } from "./doctor.js";
import { drainCommand } from "./drain.js";
import { EXIT } from "./exit.js";
import { forgetCommand } from "./forget.js";
import { keyCommand } from "./key.js";
import { lintCommand } from "./lint.js";
import { pauseCommand } from "./pause.js";
import { repartitionCommand } from "./repartition.js";
import { replayCommand } from "./replay.js";
import { resetCommand } from "./reset.js";
import { resumeCommand } from "./resume.js";
import { runCommand } from "./run.js";
import { savepointCommand } from "./savepoint.js";
import { sqlCommand } from "./sql.js";
import { stateCommand } from "./state.js";
import { tasksCommand } from "./tasks.js";
import { testCommand } from "./test.js";
import { tokenCommand } from "./token.js";
import { topologyCommand } from "./topology.js";
import { tuneCommand } from "./tune.js";
import { upCommand } from "./up.js";

const HELP = `
Examples:
  millrace up                              start everything and play the bundled sample
  millrace up --no-replay --port 0         start on any free port, play nothing
  millrace run --data-dir data             join a running instance with one more process
  millrace tasks                           who runs what, how far, and who holds back the log
  millrace state get mine.telemetry minez/truck-07
  millrace sql "SELECT count() FROM alerts"
  millrace topology mine.telemetry
  millrace backtest mine.telemetry --from 2026-10-01T00:00:00Z --to 2026-10-08T00:00:00Z
  millrace lint
  millrace test rules/
  millrace dead list --limit 5
  millrace doctor

Options of "up" can also stand in the environment or in millrace.yaml; see "millrace up --help".
Exit codes: 0 done, 1 failed, 2 wrong usage or option, 3 a check found something (doctor, lint, test, backtest, replay --verify).`;

async function main(): Promise<number> {
  const program = new Command("millrace")
    .description("Realtime event processor: GitHub events and telemetry in, features, alerts and plans out")
    .addHelpText("after", HELP)
    .exitOverride()
    .showSuggestionAfterError();
  for (const command of [
    upCommand(),
    runCommand(),
    tasksCommand(),
    pauseCommand(),
    resumeCommand(),
    drainCommand(),
    savepointCommand(),
    resetCommand(),
    forgetCommand(),
    repartitionCommand(),
    stateCommand(),
    replayCommand(),
    backtestCommand(),
    tuneCommand(),
    sqlCommand(),
    topologyCommand(),
    lintCommand(),
    alertsCommand(),
    testCommand(),
    deadCommand(),
    auditCommand(),
    tokenCommand(),
    keyCommand(),
    doctorCommand(),
  ]) {
    program.addCommand(throwing(command));
  }
  try {
    await program.parseAsync();
    return Number(process.exitCode ?? EXIT.done);
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage;
    if (!isMillraceError(error)) throw error;
    process.stderr.write(`millrace: ${error.message}\n`);
    return error.code === "MR_OPTION_INVALID" || error.disposition === "refuse" ? EXIT.usage : EXIT.failed;
  }
}

/** Commander leaves the process by itself, with its own codes, unless each command is told to throw. */
function throwing(command: Command): Command {
  for (const subcommand of command.commands) throwing(subcommand as Command);
  return command.exitOverride();
}

process.exitCode = await main();
