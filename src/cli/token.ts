import { Command, InvalidArgumentError } from "commander";
import { ROLES, type Role } from "../core/index.js";
import { issueToken } from "../ws/index.js";
import { loadConfig } from "./config.js";
import { addCredentialCommands, durationMs, listOf } from "./credentials.js";
import { accessOptions } from "./up/access.js";

interface IssueOptions {
  readonly subject: string;
  readonly role: Role;
  readonly ttl: number;
  readonly channels?: readonly string[];
}

export function tokenCommand(): Command {
  const token = new Command("token").description("tokens for people and walls");
  token
    .command("issue")
    .description("sign a token with MILLRACE_JWT_SECRET and print it; without an identity provider of your own")
    .requiredOption("--subject <name>", "whose it is")
    .requiredOption(`--role <${ROLES.join("|")}>`, "what it may do", roleOf)
    .option("--ttl <time>", "how long it counts, such as 30m or 12h", durationMs, durationMs("12h"))
    .option("--channels <list>", "only these channels, such as alerts,plans.*", listOf)
    .addHelpText("after", "\nExample:\n  millrace token issue --subject alice --role operator --ttl 8h")
    .action(async ({ subject, role, ttl, channels }: IssueOptions) => {
      const { tokens } = accessOptions(loadConfig({}));
      const claims = { subject, role, ttlS: ttl / 1_000, ...(channels === undefined ? {} : { channels }) };
      process.stdout.write(`${await issueToken(tokens, claims)}\n`);
    });
  const display = token.command("display").description("long-lived tokens that only read, for walls");
  addCredentialCommands(display, "display", { one: "a display token", prefix: "millrace token display" });
  return token;
}

function roleOf(text: string): Role {
  const role = ROLES.find((known) => known === text);
  if (!role) throw new InvalidArgumentError(`must be one of ${ROLES.join(", ")}`);
  return role;
}
