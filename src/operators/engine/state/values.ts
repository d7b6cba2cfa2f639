import { MillraceError } from "../../../core/index.js";
import type { ByteReader, ByteWriter } from "./bytes.js";

const NULL = 0;
const UNDEFINED = 1;
const FALSE = 2;
const TRUE = 3;
const NUMBER = 4;
const TEXT = 5;
const LIST = 6;
const RECORD = 7;
const BYTES = 8;
const BIGINT = 9;
const UINT = 10;
/** Larger integers take no fewer bytes as variable-length ones. */
const SMALL = 0x4000_0000;

/**
 * Writes a plain value: JSON's kinds, undefined, bigint and Uint8Array, nested. Records keep the order of their keys: parts of the state
 * go into outputs, and those must be the same text whether or not the state was saved and read in between. Cost: O(n).
 *
 * Errors: MR_OPTION_INVALID for anything else (functions, class instances, Maps): state must be plain data.
 */
export function writeValue(writer: ByteWriter, value: unknown): void {
  switch (typeof value) {
    case "number":
      if (value >= 0 && value < SMALL && Math.floor(value) === value && !Object.is(value, -0)) {
        writer.u8(UINT);
        writer.uint(value);
      } else {
        writer.u8(NUMBER);
        writer.f64(value);
      }
      return;
    case "string":
      writer.u8(TEXT);
      writer.text(value);
      return;
    case "boolean":
      writer.u8(value ? TRUE : FALSE);
      return;
    case "undefined":
      writer.u8(UNDEFINED);
      return;
    case "bigint":
      writer.u8(BIGINT);
      writer.text(value.toString());
      return;
    case "object":
      writeObject(writer, value);
      return;
    default:
      throw new MillraceError("MR_OPTION_INVALID", `saving state: a ${typeof value} is not plain data`);
  }
}

function writeObject(writer: ByteWriter, value: object | null): void {
  if (value === null) {
    writer.u8(NULL);
  } else if (Array.isArray(value)) {
    writer.u8(LIST);
    writer.uint(value.length);
    for (const item of value) writeValue(writer, item);
  } else if (value instanceof Uint8Array) {
    writer.u8(BYTES);
    writer.bytes(value);
  } else {
    const prototype = Object.getPrototypeOf(value) as object | null;
    if (prototype !== null && Object.getPrototypeOf(prototype) !== null) {
      throw new MillraceError("MR_OPTION_INVALID", `saving state: a ${value.constructor.name} is not plain data`);
    }
    writer.u8(RECORD);
    const { keys, writeFields } = writer.shape(value);
    if (writeFields !== undefined) writeFields(writer, value, writeValue);
    else for (const key of keys) writeValue(writer, (value as Record<string, unknown>)[key]);
  }
}

/** Errors: MR_STATE_INCOMPATIBLE for bytes that `writeValue` does not write. */
export function readValue(reader: ByteReader): unknown {
  const tag = reader.u8();
  switch (tag) {
    case NULL:
      return null;
    case UNDEFINED:
      return undefined;
    case FALSE:
      return false;
    case TRUE:
      return true;
    case NUMBER:
      return reader.f64();
    case UINT:
      return reader.uint();
    case TEXT:
      return reader.text();
    case BYTES:
      return reader.bytes().slice();
    case BIGINT:
      return BigInt(reader.text());
    case LIST:
      return Array.from({ length: reader.uint() }, () => readValue(reader));
    case RECORD: {
      const record: Record<string, unknown> = {};
      for (const key of reader.shape()) {
        const value = readValue(reader);
        if (key === "__proto__")
          Object.defineProperty(record, key, { value, enumerable: true, configurable: true, writable: true });
        else record[key] = value;
      }
      return record;
    }
    default:
      throw new MillraceError("MR_STATE_INCOMPATIBLE", `reading state: there is no value of kind ${tag}`);
  }
}
