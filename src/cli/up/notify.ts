import { readFileSync } from "node:fs";
import { ackLink, DAY_MS, isMillraceError, type Logger, MillraceError, systemClock } from "../../core/index.js";
import { whileHeld } from "../../runtime/index.js";
import { createNotifier, type Links, Outgoing } from "../../sinks/index.js";
import type { Connection } from "../../streams/index.js";
import { Outbox } from "../../workers/notify/index.js";
import type { RoutingFile } from "../alerts/routing-file.js";

const LEASE = "notify";
/** A link in a message works for so long. */
const LINK_MS = 7 * DAY_MS;

export interface NotifyOptions {
  readonly connection: Connection;
  readonly file: Pick<RoutingFile, "receivers" | "allowNetworks">;
  /** Where people find the page; without it messages have no links. */
  readonly publicUrl: string | undefined;
  /** Signs acknowledgement links. */
  readonly ackSecret: string;
  readonly holder: string;
  readonly logger: Logger;
}

/**
 * Tells receivers what the desk has to say, while this process holds the lease. Errors: MR_OPTION_INVALID when a receiver cannot work as
 * configured, or its secret is not there. Resolves with the function that stops it.
 */
export function startNotify({
  connection,
  file,
  publicUrl,
  ackSecret,
  holder,
  logger,
}: NotifyOptions): () => Promise<void> {
  const outgoing = new Outgoing({ allow: file.allowNetworks });
  const entries = Object.entries(file.receivers);
  const notifiers = entries.map(([name, receiver]) => {
    const links = publicUrl === undefined ? NO_LINKS : linksTo(publicUrl, name, ackSecret);
    return [name, createNotifier(name, receiver, { secret: readSecret, outgoing, links })] as const;
  });
  const stopping = new AbortController();
  const { log, registers, leases } = connection;
  const clock = systemClock;
  const own = logger.child({ component: "workers.notify" });
  const work = async (signal: AbortSignal): Promise<void> => {
    const outbox = new Outbox({ log, registers, clock, logger: own, receivers: new Map(notifiers) });
    await outbox.run(signal).catch((error: unknown) => {
      if (signal.aborted || isMillraceError(error)) own.warn({ err: error }, "notices pause");
      else throw error;
    });
  };
  const running =
    notifiers.length === 0
      ? Promise.resolve()
      : whileHeld({ leases, clock, name: LEASE, holder, signal: stopping.signal, work: (_, signal) => work(signal) });
  running.catch((error: unknown) => own.error({ err: error }, "notices are not sent any more"));
  return async () => {
    stopping.abort();
    await Promise.allSettled([running]);
    for (const [, notifier] of notifiers) notifier.close();
  };
}

const NO_LINKS: Links = { wall: undefined, acknowledge: undefined };

function linksTo(wall: string, receiver: string, secret: string): Links {
  return {
    wall,
    acknowledge: ({ fingerprint }) =>
      ackLink(wall, { fingerprint, receiver, expiresMs: Math.ceil(Date.now() / DAY_MS) * DAY_MS + LINK_MS }, secret),
  };
}

/** What `env:NAME` or `file:PATH` stands for. */
function readSecret(reference: string): string {
  const [, kind, name = ""] = /^(env|file):(.*)$/.exec(reference) ?? [];
  if (kind === "env") {
    const value = process.env[name];
    if (value) return value;
    throw new MillraceError("MR_OPTION_INVALID", `a receiver's secret: the variable ${name} is not set`);
  }
  try {
    return readFileSync(name, "utf8").trim();
  } catch (cause) {
    throw new MillraceError("MR_OPTION_INVALID", `a receiver's secret: ${name} cannot be read`, { cause });
  }
}
