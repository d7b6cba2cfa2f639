import { Lines } from "./lines.js";
import { ABSENT, CONTAINER, FALSE, NULL, NUMBER, Scanner, TEXT, TRUE } from "./scan.js";

/** What a field must hold. `T` is its type in the decoded event. */
export interface FieldKind<T> {
  readonly kind: "number" | "text" | "boolean" | "any";
  readonly optional: boolean;
  /** See `borrowed`. */
  readonly borrowed?: boolean;
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
  return { ...field, optional: true } as FieldKind<T | undefined>;
}

/**
 * A text that is looked at, passed on and let go of: taken out of its message without a copy where that is faster. Kept in state it
 * would keep the whole message in memory.
 */
export function borrowed<T extends string | undefined>(field: FieldKind<T>): FieldKind<T> {
  return { ...field, borrowed: true };
}

export type Fields = Readonly<Record<string, FieldKind<unknown>>>;
export type Decoded<F> = { readonly [Name in keyof F]: F[Name] extends FieldKind<infer T> ? T : never };

/** Decodes one JSON text of a message; undefined when it cannot, and then `reason` says why. */
export interface FieldReader<T> {
  read(data: Buffer, from: number, to: number): T | undefined;
  /**
   * The lines of `data` will be read in order; it must not change until then. They are then read many at a time, several times as
   * fast.
   */
  open(data: Buffer): void;
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

/** What was found of one text, in tables in which its fields begin at `base`. */
interface Tables {
  readonly kinds: Uint8Array;
  readonly numbers: Float64Array;
}

type Text = (field: number) => string;
/** Makes the object; undefined when a field is not of its kind. */
type Make = (tables: Tables, base: number, text: Text, borrow: Text, value: (field: number) => unknown) => unknown;

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
  return new Reader(names, ({ numbers }, base) => places.get(numbers[base + tagAt] as number) ?? 0, shapes);
}

interface Shape {
  readonly fields: readonly { readonly at: number; readonly name: string; readonly kind: FieldKind<unknown> }[];
  readonly make: Make;
}

/** The kinds to check and the function that makes the object: one literal, so every event has one hidden class. */
function shape(fields: Fields, names: readonly string[]): Shape {
  const entries = Object.entries(fields).map(([name, kind]) => ({ name, kind, at: names.indexOf(name) }));
  const wrong = entries.map(({ kind, at }) => misfit(`kinds[base + ${at}]`, kind)).filter((test) => test !== "");
  const parts = entries.map(({ name, kind, at }) => {
    const value = {
      number: `numbers[base + ${at}]`,
      text: `${kind.borrowed === true ? "borrow" : "text"}(${at})`,
      boolean: `kinds[base + ${at}] === ${TRUE}`,
      any: `value(${at})`,
    }[kind.kind];
    const guarded = kind.optional
      ? `kinds[base + ${at}] === ${ABSENT} || kinds[base + ${at}] === ${NULL} ? undefined : ${value}`
      : value;
    // Not a computed name: it would be defined by itself, at several times the cost. Only __proto__ needs one.
    return `${name === "__proto__" ? '["__proto__"]' : JSON.stringify(name)}: ${guarded}`;
  });
  const check = wrong.length === 0 ? "" : `if (${wrong.join(" || ")}) return undefined;`;
  const body = `const { numbers, kinds } = tables; ${check} return { ${parts.join(", ")} };`;
  return { fields: entries, make: new Function("tables", "base", "text", "borrow", "value", body) as Make };
}

/** Code that is true when the kind found is not one asked for. */
function misfit(found: string, { kind, optional }: FieldKind<unknown>): string {
  const right = { number: [NUMBER], text: [TEXT], boolean: [TRUE, FALSE], any: [] }[kind];
  if (kind === "any") return optional ? "" : `${found} === ${ABSENT}`;
  const allowed = optional ? [...right, ABSENT, NULL] : right;
  return allowed.map((one) => `${found} !== ${one}`).join(" && ");
}

/** Shorter texts are copied when cut out of a longer one, which is faster than asking the buffer; longer ones would hold on to it. */
const COPIED_CHARS = 13;
const NOTHING = Buffer.alloc(0) as Slices;

class Reader<T> implements FieldReader<T> {
  reason = "";
  end = 0;
  readonly #scanner: Scanner;
  readonly #fieldCount: number;
  readonly #choose: (tables: Tables, base: number) => number;
  readonly #shapes: readonly Shape[];
  /** Made when a message is opened: it needs half a megabyte. Null: not on this machine. */
  #lines: Lines | null | undefined;
  #data = NOTHING;
  /** The lines of one turn as text, once one of theirs was asked for. */
  #turnText = "";
  #turnOrigin = -1;

  constructor(names: readonly string[], choose: (tables: Tables, base: number) => number, shapes: readonly Shape[]) {
    this.#scanner = new Scanner(names);
    this.#fieldCount = names.length;
    this.#choose = choose;
    this.#shapes = shapes;
  }

  open(data: Buffer): void {
    if (this.#lines === undefined) this.#lines = Lines.of(this.#fieldCount) ?? null;
    this.#lines?.open(data);
    this.#turnOrigin = -1;
  }

  read(data: Buffer, from: number, to: number): T | undefined {
    if (this.#scanner.scan(data, from, to)) return this.#take(data);
    this.reason = `not JSON at byte ${this.#scanner.errorAt - from}`;
    return undefined;
  }

  readLine(data: Buffer, from: number): T | undefined {
    const lines = this.#lines;
    if (lines?.take(data, from)) {
      const { base } = lines;
      this.end = lines.end;
      const { make } = this.#shapes[this.#choose(lines, base)] as Shape;
      const made = make(lines, base, this.#lineText, this.#lineBorrow, this.#lineValue);
      if (made !== undefined) return made as T;
    }
    return this.#scanLine(data, from);
  }

  #scanLine(data: Buffer, from: number): T | undefined {
    this.end = this.#scanner.scanLine(data, from);
    if (this.end >= 0) {
      this.#lines?.learn(this.#scanner);
      return this.#take(data);
    }
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
    const { fields, make } = this.#shapes[this.#choose(scanner, 0)] as Shape;
    this.#data = data as Slices;
    const made = make(scanner, 0, this.#text, this.#text, this.#value);
    if (made !== undefined) return made as T;
    for (const { at, kind, name } of fields) {
      if (fits(scanner.kinds[at] as number, kind)) continue;
      this.reason = `${name} must be ${NAMES[kind.kind]}, ${scanner.kinds[at] === ABSENT ? "is missing" : `is ${FOUND[scanner.kinds[at] as number]}`}`;
      break;
    }
    return undefined;
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

  readonly #lineText = (field: number): string => this.#cutOut(field, COPIED_CHARS);
  readonly #lineBorrow = (field: number): string => this.#cutOut(field, Number.POSITIVE_INFINITY);

  /** A text of the line at hand, cut out of its turn's text when it is plain ASCII and shorter than `below`. */
  #cutOut(field: number, below: number): string {
    const lines = this.#lines as Lines;
    const at = lines.base + field;
    const from = lines.places[at * 2] as number;
    const to = lines.places[at * 2 + 1] as number;
    if (lines.forms[at] === 1) return lines.data.utf8Slice(from + lines.origin, to + lines.origin);
    if (to - from >= below) return lines.data.latin1Slice(from + lines.origin, to + lines.origin);
    if (this.#turnOrigin !== lines.origin) {
      this.#turnOrigin = lines.origin;
      this.#turnText = lines.data.latin1Slice(lines.origin, lines.reached);
    }
    return this.#turnText.substring(from, to);
  }

  readonly #lineValue = (field: number): unknown => {
    const lines = this.#lines as Lines;
    switch (lines.kinds[lines.base + field]) {
      case NUMBER:
        return lines.numbers[lines.base + field];
      case TEXT:
        return this.#lineText(field);
      case TRUE:
        return true;
      case FALSE:
        return false;
      case NULL:
        return null;
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
