import { createHash } from "node:crypto";
import { createTransport } from "nodemailer";
import type SMTPTransport from "nodemailer/lib/smtp-transport/index.js";
import { MillraceError, type Notice, reasonOf } from "../../core/index.js";
import type { Notifier, SendResult } from "./notifier.js";
import type { Outgoing } from "./outgoing.js";
import { headline, type Language, mark, moment, shortened, WORDS } from "./texts.js";

export interface EmailOptions {
  /** `smtps://user:password@host[:port]`, or `smtp://…` (STARTTLS is then demanded): a secret. */
  readonly server: URL;
  readonly from: string;
  readonly to: readonly string[];
  readonly language: Language;
  /** Where people find the wall. */
  readonly wall: string | undefined;
  readonly outgoing: Outgoing;
  /** Accepts a server without TLS; for one in an allowed network. @default false */
  readonly plain?: boolean;
}

const LIMITS = [
  { count: 2, perMs: 1_000 },
  { count: 60, perMs: 60_000 },
];
const STEP_MS = 10_000;

/**
 * E-mail over SMTP. The Message-ID is made of the notice's key, so a repeat is the same message to those who look; notices of a group
 * are one thread. Text only: it is read on pagers too.
 */
export function email({ server, from, to, language, wall, outgoing, plain = false }: EmailOptions): Notifier {
  if (server.protocol !== "smtp:" && server.protocol !== "smtps:") {
    throw new MillraceError(
      "MR_OPTION_INVALID",
      `e-mail server ${server.protocol}//…: write smtps://user:password@host or smtp://…`,
    );
  }
  const domain = from.slice(from.lastIndexOf("@") + 1).replace(/>$/, "");
  const idOf = (text: string) => `<${createHash("sha256").update(text).digest("hex").slice(0, 32)}@${domain}>`;
  const headersOf = ({ key, group }: Notice) => ({
    "message-id": idOf(`notice ${key}`),
    references: idOf(`group ${group}`),
    "auto-submitted": "auto-generated",
  });

  return {
    kind: "email",
    limits: LIMITS,
    repeats: "shown",
    compose: (notice) => ({
      body: textOf(notice, language, wall),
      headers: { subject: shortened(headline(notice, language), 150), from, to: to.join(", "), ...headersOf(notice) },
    }),
    async send(notice, previous) {
      const { body, headers } = this.compose(notice, previous);
      const secure = server.protocol === "smtps:";
      let host: string;
      try {
        const [{ address }] = await outgoing.addresses(server.hostname);
        host = address;
      } catch (error) {
        const reason = reasonOf(error);
        return error instanceof MillraceError ? { kind: "refused", reason } : { kind: "retry", reason };
      }
      const options: SMTPTransport.Options = {
        host,
        port: Number(server.port) || (secure ? 465 : 587),
        secure,
        requireTLS: !secure && !plain,
        tls: { servername: server.hostname },
        connectionTimeout: STEP_MS,
        greetingTimeout: STEP_MS,
        socketTimeout: STEP_MS,
        disableFileAccess: true,
        disableUrlAccess: true,
        ...(server.username !== "" && {
          auth: { user: decodeURIComponent(server.username), pass: decodeURIComponent(server.password) },
        }),
      };
      const transport = createTransport(options);
      try {
        const { subject = "", "message-id": messageId = "", references = "" } = headers;
        await transport.sendMail({
          from,
          to: [...to],
          subject,
          messageId,
          references,
          text: body,
          headers: { "auto-submitted": "auto-generated" },
        });
        return { kind: "delivered", reference: null };
      } catch (error) {
        return failed(error as Failure);
      } finally {
        transport.close();
      }
    },
    close: () => undefined,
  };
}

/** What nodemailer rejects with. */
interface Failure extends Error {
  readonly code?: string;
  /** The SMTP command that was being answered; `CONN` before the first. */
  readonly command?: string;
  readonly responseCode?: number;
}

/** Only what happens after DATA leaves it open whether the message was taken. Messages of the server may hold addresses: its code is enough. */
function failed({ code = "", command = "", responseCode }: Failure): SendResult {
  const reason = `the mail server failed at ${command || "an unknown step"} (${responseCode ?? code})`;
  if (responseCode !== undefined) return { kind: responseCode >= 500 ? "refused" : "retry", reason };
  return command === "CONN" || code === "EAUTH" || code === "ETLS" || code === "EENVELOPE"
    ? { kind: "retry", reason }
    : { kind: "unknown", reason };
}

function textOf(notice: Notice, language: Language, wall: string | undefined): string {
  const words = WORDS[language];
  const lines = notice.alerts.flatMap((alert) => [
    `${mark(alert, language)}  ${shortened(alert.title, 500)}`,
    `    ${alert.key}, ${alert.rule}, ${words.since(moment(alert.window.start))}`,
    "",
  ]);
  if (notice.omitted > 0) lines.push(words.omitted(notice.omitted), "");
  if (wall !== undefined) lines.push(`${words.open}: ${wall}`);
  return lines.join("\n");
}
