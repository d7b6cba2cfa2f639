import { createHash } from "node:crypto";
import { promisify } from "node:util";
import { gunzip, gzip } from "node:zlib";
import {
  formatTime,
  type LogMessage,
  type LogReader,
  MillraceError,
  type NewMessage,
  type Objects,
} from "../../core/index.js";
import { PACK_BYTES_MOST } from "./pack.js";

/** Above this a body is refused, however it is sent. */
export const BODY_BYTES_MOST = 25 * 1024 * 1024;
/** How the bytes of a stored message become the body: `gzip`, `object` (they are the name of one), `object+gzip`. */
const ENCODING = "Millrace-Encoding";
const GZIP = "gzip";
const OBJECT = "object";
/** Headers and subject count towards the server's limit. */
const HEADERS_BYTES = 64 * 1024;
/** A body of so many bytes unpacked is wrong: nothing larger is ever stored. */
const UNPACKED_MOST = BODY_BYTES_MOST;

const PREFIX = "body/";
const DAY_CHARS = "2026-11-20".length;

const zip = promisify(gzip);
const unzip = promisify(gunzip);

/**
 * A message as it is stored: as it is up to 256 KB; compressed above, where that helps; in the object store, with its name as the body,
 * when it is still larger than the server takes.
 *
 * Undefined: it is stored as it is. Errors: MR_TOO_LARGE above 25 MB; MR_LOG_FULL and MR_LOG_UNAVAILABLE of the object store.
 */
export function storedForm(
  message: NewMessage,
  objects: Objects,
  maxMessageBytes: number,
): Promise<NewMessage> | undefined {
  return message.data.length <= PACK_BYTES_MOST ? undefined : makeFit(message, objects, maxMessageBytes);
}

async function makeFit(message: NewMessage, objects: Objects, maxMessageBytes: number): Promise<NewMessage> {
  const { data, headers } = message;
  if (data.length > BODY_BYTES_MOST)
    throw new MillraceError("MR_TOO_LARGE", `a body of ${data.length} bytes; at most ${BODY_BYTES_MOST} are taken`);
  const zipped = await zip(data);
  const helps = zipped.length < data.length;
  const body = helps ? zipped : data;
  if (body.length + HEADERS_BYTES <= maxMessageBytes)
    return helps ? { ...message, data: body, headers: { ...headers, [ENCODING]: GZIP } } : message;
  const day = formatTime(Date.now()).slice(0, DAY_CHARS);
  const name = `${PREFIX}${day}/${createHash("sha256").update(data).digest("hex")}`;
  await objects.put(name, body); // the same body twice in a day is the same object
  const encoding = helps ? `${OBJECT}+${GZIP}` : OBJECT;
  return { ...message, data: Buffer.from(name), headers: { ...headers, [ENCODING]: encoding } };
}

/** The body of a stored message. Errors: MR_LOG_LOST_DATA when its object is gone. */
export async function bodyOf(message: LogMessage, objects: Objects): Promise<LogMessage> {
  const encoding = message.header(ENCODING);
  if (encoding === undefined) return message;
  let data = message.data;
  if (encoding.startsWith(OBJECT)) {
    const name = Buffer.from(data).toString();
    const found = await objects.get(name);
    if (found === undefined)
      throw new MillraceError(
        "MR_LOG_LOST_DATA",
        `reading ${message.subject} at ${message.sequence}: object ${name} is gone`,
      );
    data = found;
  }
  if (encoding.endsWith(GZIP)) data = await unzip(data, { maxOutputLength: UNPACKED_MOST });
  const { sequence, subject } = message;
  return { sequence, subject, data, header: (name) => message.header(name) };
}

/** Removes the bodies stored on days before that of `timeMs`; resolves with how many. Errors: MR_LOG_UNAVAILABLE. */
export async function removeBodies(objects: Objects, timeMs: number): Promise<number> {
  const day = formatTime(timeMs).slice(0, DAY_CHARS);
  const old = (await objects.list(PREFIX)).filter((name) => name.slice(PREFIX.length, PREFIX.length + DAY_CHARS) < day);
  for (const name of old) await objects.remove(name);
  return old.length;
}

/** A reader whose messages have their bodies. Costs nothing for those that are stored as they came. */
export function withBodies(reader: LogReader, objects: Objects): LogReader {
  return {
    next(maxMessages) {
      return reader.next(maxMessages).then((messages) => {
        if (!messages.some((message) => message.header(ENCODING) !== undefined)) return messages;
        return Promise.all(messages.map((message) => bodyOf(message, objects)));
      });
    },
    close: () => reader.close(),
  };
}
