import {
  encodeToken,
  type HttpRequest,
  type HttpRoute,
  jsonReply,
  type Log,
  MillraceError,
  UNKNOWN_TOKEN,
} from "../../core/index.js";
import { signatureCheck } from "./signature.js";
import { sourceOf } from "./source.js";

/** GitHub delivers no larger bodies. */
const BODY_BYTES_MOST = 25 * 1024 * 1024;
/** Headers travel with the message and count towards the server's limit. */
const HEADERS_BYTES = 4_096;
/** Longer names belong to nobody; a subject must stay below the server's limit of 4 KB. */
const NAME_CHARS_MOST = 256;

const decoder = new TextDecoder("utf-8", { fatal: true });

export interface GithubDoorOptions {
  readonly log: Log;
  /** The current webhook secret first, then former ones that still count. */
  readonly secrets: readonly string[];
  /** Who shows it may name a time source in `X-Millrace-Source` (the replay driver). */
  readonly localKey: string;
  /** The largest message the log takes. Larger bodies are refused with 413. */
  readonly maxPayloadBytes: number;
}

/**
 * `POST /hooks/github`: the signature is checked over the raw bytes before anything is parsed, then the delivery goes to the log
 * as it came, whatever kind it is, and only then is it answered: 202 `{accepted: 1}`, 200 for a ping. What cannot be filed under a
 * repository goes under `-`. GitHub does not repeat by itself what is not answered with 2xx.
 *
 * Errors: MR_UNAUTHORIZED (401), MR_TOO_LARGE (413), MR_LOG_FULL and MR_LOG_UNAVAILABLE (503), nothing in the log in each case
 *         (after MR_LOG_UNAVAILABLE it may be there: the first operator drops the repeat).
 */
export function githubDoor({ log, secrets, localKey, maxPayloadBytes }: GithubDoorOptions): HttpRoute {
  const isSigned = signatureCheck(secrets);
  return {
    method: "POST",
    path: "/hooks/github",
    access: "own",
    maxBodyBytes: BODY_BYTES_MOST,
    async handle(request) {
      const { body } = request;
      if (!(await isSigned(body, request.header("x-hub-signature-256")))) {
        throw new MillraceError(
          "MR_UNAUTHORIZED",
          "X-Hub-Signature-256 is missing or does not match the body and our secret",
        );
      }
      if (body.length > maxPayloadBytes - HEADERS_BYTES) {
        const most = maxPayloadBytes - HEADERS_BYTES;
        throw new MillraceError("MR_TOO_LARGE", `a delivery of ${body.length} bytes; the log takes at most ${most}`);
      }
      const event = bounded(request.header("x-github-event"));
      const payload = payloadOf(request);
      const { owner, repo } = repositoryOf(payload);
      const subject = ["in.github", owner, repo, event ?? ""]
        .map((name, i) => (i === 0 ? name : tokenOf(name)))
        .join(".");
      await log.publish({ subject, data: payload, headers: headersOf(request, localKey) });
      return event === "ping" ? jsonReply(200, { accepted: 1, pong: true }) : jsonReply(202, { accepted: 1 });
    },
  };
}

function headersOf(request: HttpRequest, localKey: string): Record<string, string> {
  const headers: Record<string, string> = {
    "Millrace-Door": "webhook",
    "Millrace-Source": sourceOf(request, localKey),
  };
  for (const name of ["X-GitHub-Event", "X-GitHub-Delivery", "X-GitHub-Hook-ID"]) {
    const value = bounded(request.header(name.toLowerCase()));
    if (value !== undefined) headers[name] = value;
  }
  return headers;
}

/** The JSON as it was sent; of a form its field `payload`. A form without that field stays what it is. */
function payloadOf(request: HttpRequest): Uint8Array {
  const type = request.header("content-type")?.split(";", 1)[0]?.trim().toLowerCase();
  if (type !== "application/x-www-form-urlencoded") return request.body;
  const payload = new URLSearchParams(Buffer.from(request.body).toString("utf8")).get("payload");
  return payload === null ? request.body : new TextEncoder().encode(payload);
}

/** A light look for the partition alone; whether the delivery is valid is the task's business. */
function repositoryOf(payload: Uint8Array): { owner: string; repo: string } {
  let name: unknown;
  try {
    name = (JSON.parse(decoder.decode(payload)) as { repository?: { full_name?: unknown } } | null)?.repository
      ?.full_name;
  } catch {
    // Not JSON, or not text: logged all the same, under "-", and set aside with its reason by the task.
  }
  const [owner, repo, ...rest] = typeof name === "string" ? name.split("/") : [];
  return owner && repo && rest.length === 0 ? { owner, repo } : { owner: "", repo: "" };
}

function tokenOf(name: string): string {
  return name === "" || name.length > NAME_CHARS_MOST ? UNKNOWN_TOKEN : encodeToken(name);
}

function bounded(header: string | undefined): string | undefined {
  return header?.slice(0, NAME_CHARS_MOST);
}
