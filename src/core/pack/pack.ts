import { MillraceError } from "../errors.js";
import { PackReader, PackWriter } from "./bytes.js";

/** Header of a message whose body is a pack: `<name>/<version>` of its schema. Without it a body is JSON. */
export const PACK_SCHEMA = "Millrace-Schema";

/** What a column holds. `int`: safe integers, as differences, so times and counters take a byte or two. `text`: each different one once. */
export type PackKind = "int" | "float" | "text" | "bool";

/** Names and kinds of an event's fields; all of an event's fields are there. A change of any of them is another version. */
export interface PackSchema<F extends PackFields = PackFields> {
  readonly name: string;
  /** Counts from 1. */
  readonly version: number;
  readonly fields: F;
}

export type PackFields = Readonly<Record<string, PackKind>>;

export type Packed<F extends PackFields> = {
  readonly [K in keyof F]: F[K] extends "text" ? string : F[K] extends "bool" ? boolean : number;
};

/** Errors: MR_OPTION_INVALID for a name with a slash, a version below 1, no fields. */
export function packSchema<const F extends PackFields>(schema: PackSchema<F>): PackSchema<F> {
  const { name, version, fields } = schema;
  const isGood = name !== "" && !name.includes("/") && Number.isSafeInteger(version) && version >= 1;
  if (!isGood || Object.keys(fields).length === 0)
    throw new MillraceError("MR_OPTION_INVALID", `schema ${name}/${version}: a name, a version from 1 and fields`);
  return schema;
}

/** `<name>/<version>`: the value of the header. */
export function schemaId({ name, version }: PackSchema): string {
  return `${name}/${version}`;
}

/** More events than this in one body are not a pack of ours. */
const EVENTS_MOST = 1_000_000;

/**
 * Events by column: their number, then each field's values in the order of the schema. Integers as zigzag differences of variable length;
 * floats as eight bytes; booleans as a byte; texts as a list of the different ones and places in it. O(values).
 *
 * Errors: MR_OPTION_INVALID for a value of another kind than the schema says, with field and place.
 */
export function encodePack<F extends PackFields>(schema: PackSchema<F>, events: readonly Packed<F>[]): Uint8Array {
  const writer = new PackWriter();
  writer.uint(events.length);
  for (const [field, kind] of Object.entries(schema.fields)) {
    const values = events.map((event) => (event as Readonly<Record<string, unknown>>)[field]);
    const wrong = values.findIndex((value) => !FITS[kind](value));
    if (wrong >= 0) {
      const got = `${String(values[wrong])} in event ${wrong}`;
      throw new MillraceError("MR_OPTION_INVALID", `packing ${schemaId(schema)}: ${field} is ${kind}, got ${got}`);
    }
    WRITE[kind](writer, values as never);
  }
  return writer.finish();
}

/** The events of a pack. Errors: MR_EVENT_MALFORMED when the bytes are not one of this schema. */
export function decodePack<F extends PackFields>(schema: PackSchema<F>, bytes: Uint8Array): readonly Packed<F>[] {
  try {
    const reader = new PackReader(bytes);
    const count = reader.uint();
    if (count > EVENTS_MOST || count > bytes.length) throw new RangeError(`${count} events in ${bytes.length} bytes`);
    const names = Object.keys(schema.fields);
    const columns = names.map((name) => READ[schema.fields[name] as PackKind](reader, count));
    if (reader.left > 0) throw new RangeError(`${reader.left} bytes too many`);
    const make = rowMaker(schema);
    return fill(count, (i) => make(columns, i) as Packed<F>);
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    throw new MillraceError("MR_EVENT_MALFORMED", `reading a pack of ${schemaId(schema)}: ${cause.message}`, { cause });
  }
}

const FITS: Readonly<Record<PackKind, (value: unknown) => boolean>> = {
  int: (value) => Number.isSafeInteger(value),
  float: (value) => typeof value === "number",
  text: (value) => typeof value === "string",
  bool: (value) => typeof value === "boolean",
};

const WRITE = {
  /** The first difference is to 0. One beyond 2^53 has no exact number: then the column is floats, which hold every safe integer. */
  int(writer: PackWriter, values: readonly number[]): void {
    const isPlain = values.every((value, i) => Math.abs(value - (values[i - 1] ?? 0)) < 2 ** 51);
    writer.byte(isPlain ? 0 : 1);
    let before = 0;
    for (const value of values) {
      if (!isPlain) writer.float(value);
      else writer.uint(value >= before ? (value - before) * 2 : (before - value) * 2 - 1);
      before = value;
    }
  },
  float(writer: PackWriter, values: readonly number[]): void {
    for (const value of values) writer.float(value);
  },
  bool(writer: PackWriter, values: readonly boolean[]): void {
    for (const value of values) writer.byte(value ? 1 : 0);
  },
  text(writer: PackWriter, values: readonly string[]): void {
    const places = new Map<string, number>();
    for (const value of values) if (!places.has(value)) places.set(value, places.size);
    writer.uint(places.size);
    for (const value of places.keys()) writer.text(value);
    if (places.size === values.length) return; // each is another: they stand in order
    for (const value of values) writer.uint(places.get(value) as number);
  },
};

type Column = readonly unknown[];

const READ: Readonly<Record<PackKind, (reader: PackReader, count: number) => Column>> = {
  int(reader, count) {
    const isPlain = reader.byte() === 0;
    let before = 0;
    return fill(count, () => {
      if (!isPlain) return reader.float();
      const coded = reader.uint();
      before += coded % 2 === 0 ? coded / 2 : -(coded + 1) / 2;
      return before;
    });
  },
  float: (reader, count) => fill(count, () => reader.float()),
  bool: (reader, count) => fill(count, () => reader.byte() === 1),
  text(reader, count) {
    const different = reader.uint();
    if (different > count) throw new RangeError(`${different} texts for ${count} events`);
    const texts = fill(different, () => reader.text());
    if (different === count) return texts;
    return fill(count, () => {
      const text = texts[reader.uint()];
      if (text === undefined) throw new RangeError("a text that is not there");
      return text;
    });
  },
};

type RowMaker = (columns: readonly Column[], i: number) => object;
const makers = new WeakMap<PackSchema, RowMaker>();

/** Makes the events of a schema in one shape at once; field by field a third fewer are read in a second. */
function rowMaker(schema: PackSchema): RowMaker {
  const known = makers.get(schema);
  if (known !== undefined) return known;
  const fields = Object.keys(schema.fields).map((name, c) => `[${JSON.stringify(name)}]: columns[${c}][i]`);
  const made = new Function("columns", "i", `return { ${fields.join(", ")} };`) as RowMaker;
  makers.set(schema, made);
  return made;
}

function fill<T>(count: number, next: (i: number) => T): T[] {
  const values = new Array<T>(count);
  for (let i = 0; i < count; i++) values[i] = next(i);
  return values;
}
