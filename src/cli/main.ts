#!/usr/bin/env node
import { Command, CommanderError } from "commander";
import { isMillraceError } from "../core/index.js";
import { EXIT } from "./exit.js";

/** Each is loaded when it is asked for: half of the time of a short command is loading what it does not need. */
const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  up: async () => (await import("./up.js")).upCommand(),
  run: async () => (await import("./run.js")).runCommand(),
  tasks: async () => (await import("./tasks.js")).tasksCommand(),
  pause: async () => (await import("./pause.js")).pauseCommand(),
  resume: async () => (await import("./resume.js")).resumeCommand(),
  drain: async () => (await import("./drain.js")).drainCommand(),
  savepoint: async () => (await import("./savepoint.js")).savepointCommand(),
  reset: async () => (await import("./reset.js")).resetCommand(),
  forget: async () => (await import("./forget.js")).forgetCommand(),
  repartition: async () => (await import("./repartition.js")).repartitionCommand(),
  state: async () => (await import("./state.js")).stateCommand(),
  replay: async () => (await import("./replay.js")).replayCommand(),
  backtest: async () => (await import("./backtest.js")).backtestCommand(),
  tune: async () => (await import("./tune.js")).tuneCommand(),
  sql: async () => (await import("./sql.js")).sqlCommand(),
  topology: async () => (await import("./topology.js")).topologyCommand(),
  lint: async () => (await import("./lint.js")).lintCommand(),
  alerts: async () => (await import("./alerts.js")).alertsCommand(),
  test: async () => (await import("./test.js")).testCommand(),
  dead: async () => (await import("./dead.js")).deadCommand(),
  audit: async () => (await import("./audit.js")).auditCommand(),
  token: async () => (await import("./token.js")).tokenCommand(),
  key: async () => (await import("./key.js")).keyCommand(),
  doctor: async () => (await import("./doctor.js")).doctorCommand(),
};

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
  const [named = ""] = process.argv.slice(2);
  for (const [name, load] of Object.entries(COMMANDS)) {
    if (name === named || !Object.hasOwn(COMMANDS, named)) program.addCommand(throwing(await load()));
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
