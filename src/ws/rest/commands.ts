import { createHash, randomBytes } from "node:crypto";
import {
  COMMANDS,
  canonicalJson,
  type HttpRoute,
  hasRole,
  isMillraceError,
  jsonReply,
  type Log,
  MillraceError,
  type OperatorCommand,
} from "../../core/index.js";
import { problem } from "../problem.js";
import { commandRequest, idempotencyKey, parse, parseBody } from "./schemas.js";

const STREAM = "commands";
const BODY_BYTES_MOST = 32 << 10;

/**
 * `POST /api/v1/commands`: one command into the stream `commands`, answered 202 once the log has it. With `Idempotency-Key` the same key
 * of the same caller is the same command, on every gateway and for as long as the stream keeps it: a repeat is answered as the first
 * was, another command under that key is refused with 422.
 *
 * Errors: MR_REQUEST_INVALID (400), the role (403), MR_LOG_FULL and MR_LOG_UNAVAILABLE (503, it may be stored: repeat with the key).
 */
export function commandsRoute(log: Log, nowMs: () => number = Date.now): HttpRoute {
  return {
    method: "POST",
    path: "/api/v1/commands",
    access: "key",
    needs: "command",
    maxBodyBytes: BODY_BYTES_MOST,
    async handle({ body, caller, header }) {
      const wanted = parseBody(commandRequest, body);
      const given = header("idempotency-key");
      const key = given === undefined ? undefined : parse(idempotencyKey, given);
      const { role: needed } = COMMANDS[wanted.command];
      const { role, subject: by } = caller;
      if (role === undefined || !hasRole(caller, needed))
        return problem(403, `${wanted.command} is for ${needed}s; your role is ${role ?? "none"}`);
      const id = key === undefined ? randomBytes(16).toString("hex") : idOf(by, key);
      const ts = new Date(nowMs()).toISOString();
      const command: OperatorCommand = { schema: "millrace.command/1", id, ...wanted, by, role, ts };
      const stored = await storeOnce(log, command);
      if (wordsOf(stored) !== wordsOf(command))
        return problem(422, "another command was sent with this idempotency key; use a new key for a new command");
      const { command: name, target } = stored;
      return jsonReply(202, { id, command: name, target, ts: stored.ts, repeated: stored !== command });
    },
  };
}

/** Stores the command unless its subject holds one already; resolves with the one the log has. */
export async function storeOnce(log: Log, command: OperatorCommand): Promise<OperatorCommand> {
  const subject = `${STREAM}.${command.id}`;
  const find = async () => {
    const found = await log.last(STREAM, subject);
    return found && (JSON.parse(Buffer.from(found.data).toString()) as OperatorCommand);
  };
  const before = await find();
  if (before) return before;
  try {
    const headers = { "Nats-Expected-Last-Subject-Sequence": "0" };
    await log.publish({ subject, data: Buffer.from(JSON.stringify(command)), headers });
    return command;
  } catch (error) {
    if (!isMillraceError(error, "MR_LOG_CONFLICT")) throw error;
    const other = await find(); // the same request, sent twice at once
    if (!other)
      throw new MillraceError("MR_LOG_UNAVAILABLE", `storing command ${command.id}: try again`, { cause: error });
    return other;
  }
}

function idOf(by: string, key: string): string {
  return createHash("sha256").update(`${by}\n${key}`).digest("hex").slice(0, 32);
}

/** What makes two requests the same. */
function wordsOf({ command, target, args, reason }: OperatorCommand): string {
  return canonicalJson({ command, target, args, reason });
}
