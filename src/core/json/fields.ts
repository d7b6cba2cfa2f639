import { ABSENT, CONTAINER, FALSE, NULL, NUMBER, Scanner, TEXT, TRUE } from "./scan.js";

/** What a field must hold. `T` is its type in the decoded event. */
export interface FieldKind<T> {
  readonly kind: "number" | "text" | "boolean" | "any";
  readonly optional: boolean;
  /** Never there: carries the type. */
  readonly type?: T;
}

export const num: FieldKind<number> = { kind: "number", optional: false };
export const str: FieldKind<string> = { kind: "text", optional: false };
export const bool: FieldKind<boolean> = { kind: "boolean", optional: false };
/** Any JSON value, decoded as `JSON.parse` would. */
export const json: FieldKind<unknown> = { kind: "any", optional: false };

/** May be missing or null: then undefined. */
export function optional<T>(field: FieldKind<T>): FieldKind<T | undefined> {
  return { kind: field.kind, optional: true };
}

export type Fields = Readonly<Record<string, FieldKind<unknown>>>;
export type Decoded<F> = { readonly [Name in keyof F]: F[Name] extends FieldKind<infer T> ? T : never };

/** Decodes one JSON text of a message; undefined when it cannot, and then `reason` says why. */
export interface FieldReader<T> {
  read(data: Buffer, from: number, to: number): T | undefined;
  /** As `read`, of the line that begins at `from`; `end` is then where it ends (its line feed, or the end of the data). */
  readLine(data: Buffer, from: number): T | undefined;
  readonly reason: string;
  readonly end: number;
}

/** Part of every Buffer, though not of its types: `toString` with an encoding costs about 20 ns more a call. */
export interface Slices extends Buffer {
  latin1Slice(from: number, to: number): string;
  utf8Slice(from: number, to: number): string;
}

type Make = (scanner: Scanner, text: (field: number) => string, value: (field: number) => unknown) => unknown;

/**
 * Reads only the named top-level fields of a JSON object. The text is accepted exactly when `JSON.parse` accepts it, is an object
 * and its fields are of the kinds asked for; the values are those of `JSON.parse`, the last of duplicate keys included.
 */
export function fieldReader<F extends Fields>(fields: F): FieldReader<Decoded<F>> {
  return new Reader<Decoded<F>>(Object.keys(fields), () => 0, [shape(fields, Object.keys(fields))]);
}

/**
 * As `fieldReader`, for events of several types told apart by an integer field: `common` is read of each, `variants[n]` of those
 * whose `tag` is n. Types that are not listed give the common fields alone.
 */
export function variantReader<C extends Fields, V extends Readonly<Record<number, Fields>>>(
  tag: string & keyof C,
  common: C,
  variants: V,
): FieldReader<Decoded<C> & { readonly [N in keyof V]: Decoded<V[N]> }[keyof V]> {
  const all = [common, ...Object.values(variants)];
  const names = [...new Set(all.flatMap((fields) => Object.keys(fields)))];
  const shapes = [shape(common, names)];
  const places = new Map<number, number>();
  for (const [n, fields] of Object.entries(variants))
    places.set(Number(n), shapes.push(shape({ ...common, ...fields }, names)) - 1);
  const tagAt = names.indexOf(tag);
  return new Reader(names, (scanner) => places.get(scanner.numbers[tagAt] as number) ?? 0, shapes);
}

interface Shape {
  readonly fields: readonly { readonly at: number; readonly name: string; readonly kind: FieldKind<unknown> }[];
  readonly make: Make;
}

/** The kinds to check and the function that makes the object: one literal, so every event has one hidden class. */
function shape(fields: Fields, names: readonly string[]): Shape {
  const entries = Object.entries(fields).map(([name, kind]) => ({ name, kind, at: names.indexOf(name) }));
  const parts = entries.map(({ name, kind, at }) => {
    const value = {
      number: `numbers[${at}]`,
      text: `text(${at})`,
      boolean: `kinds[${at}] === ${TRUE}`,
      any: `value(${at})`,
    }[kind.kind];
    const guarded = kind.optional
      ? `kinds[${at}] === ${ABSENT} || kinds[${at}] === ${NULL} ? undefined : ${value}`
      : value;
    // Not a computed name: it would be defined by itself, at several times the cost. Only __proto__ needs one.
    return `${name === "__proto__" ? '["__proto__"]' : JSON.stringify(name)}: ${guarded}`;
  });
  const body = `const { numbers, kinds } = scanner; return { ${parts.join(", ")} };`;
  return { fields: entries, make: new Function("scanner", "text", "value", body) as Make };
}

class Reader<T> implements FieldReader<T> {
  reason = "";
  end = 0;
  readonly #scanner: Scanner;
  readonly #choose: (scanner: Scanner) => number;
  readonly #shapes: readonly Shape[];
  #data = Buffer.alloc(0) as Slices;

  constructor(names: readonly string[], choose: (scanner: Scanner) => number, shapes: readonly Shape[]) {
    this.#scanner = new Scanner(names);
    this.#choose = choose;
    this.#shapes = shapes;
  }

  read(data: Buffer, from: number, to: number): T | undefined {
    if (this.#scanner.scan(data, from, to)) return this.#take(data);
    this.reason = `not JSON at byte ${this.#scanner.errorAt - from}`;
    return undefined;
  }

  readLine(data: Buffer, from: number): T | undefined {
    this.end = this.#scanner.scanLine(data, from);
    if (this.end >= 0) return this.#take(data);
    const at = data.indexOf(0x0a, from);
    this.end = at < 0 ? data.length : at;
    this.reason = `not JSON at byte ${this.#scanner.errorAt - from}`;
    return undefined;
  }

  #take(data: Buffer): T | undefined {
    const scanner = this.#scanner;
    if (!scanner.isObject) {
      this.reason = "not a JSON object";
      return undefined;
    }
    const { fields, make } = this.#shapes[this.#choose(scanner)] as Shape;
    for (let i = 0; i < fields.length; i++) {
      const { at, kind, name } = fields[i] as Shape["fields"][number];
      if (!fits(scanner.kinds[at] as number, kind)) {
        this.reason = `${name} must be ${NAMES[kind.kind]}, ${scanner.kinds[at] === ABSENT ? "is missing" : `is ${FOUND[scanner.kinds[at] as number]}`}`;
        return undefined;
      }
    }
    this.#data = data as Slices;
    return make(scanner, this.#text, this.#value) as T;
  }

  readonly #text = (field: number): string => {
    const scanner = this.#scanner;
    const from = scanner.starts[field] as number;
    const to = scanner.ends[field] as number;
    const form = scanner.forms[field];
    if (form === 0) return this.#data.latin1Slice(from, to);
    if (form === 1) return this.#data.utf8Slice(from, to);
    return JSON.parse(this.#data.utf8Slice(from - 1, to + 1)) as string;
  };

  readonly #value = (field: number): unknown => {
    const scanner = this.#scanner;
    switch (scanner.kinds[field]) {
      case NUMBER:
        return scanner.numbers[field];
      case TEXT:
        return this.#text(field);
      case TRUE:
        return true;
      case FALSE:
        return false;
      case NULL:
        return null;
      case CONTAINER:
        return JSON.parse(this.#data.utf8Slice(scanner.starts[field] as number, scanner.ends[field] as number));
      default:
        return undefined;
    }
  };
}

const NAMES = { number: "a number", text: "text", boolean: "true or false", any: "there" } as const;
const FOUND = ["missing", "a number", "text", "true", "false", "null", "an object or array"];

function fits(found: number, { kind, optional }: FieldKind<unknown>): boolean {
  if (optional && (found === ABSENT || found === NULL)) return true;
  switch (kind) {
    case "number":
      return found === NUMBER;
    case "text":
      return found === TEXT;
    case "boolean":
      return found === TRUE || found === FALSE;
    case "any":
      return found !== ABSENT;
  }
}
