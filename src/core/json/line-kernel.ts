/**
 * The plain lines of a pack, read sixteen bytes at a time by WebAssembly: an object without nesting whose keys came before in this
 * order, numbers of up to fifteen digits, texts without escapes. Such lines are most of a stream, and of them the kernel accepts what
 * `JSON.parse` accepts, with the same values; any other line is left to the scanner. It only ever says "this is plain", never "this is
 * not JSON".
 *
 * Measured on the 284-byte events of Nexmark: three to four times as fast as the scanner.
 */
import {
  block,
  branch,
  branchIf,
  bytes16,
  type Code,
  f64,
  giveBack,
  i32,
  i64,
  locals,
  loop,
  moduleOf,
  type ValueType,
  when,
} from "./assemble.js";
import { FALSE, NULL, NUMBER, TEXT, TRUE } from "./scan.js";

/** Bytes of lines at a time, from address 0; behind them zeros, which end whatever runs over. */
export const INPUT_BYTES = 0x1_0000;
const TENS_AT = INPUT_BYTES + 64;
const TENS = 16;
/** The same as integers, as far as needed. */
const POWERS_AT = TENS_AT + TENS * 8;
const POWERS = 9;
export const NODES_AT = POWERS_AT + POWERS * 8;
export const NODES = 512;
/**
 * A node stands for a key behind certain others: `"key":` as it stands in the text, a mask of its length, then length, field, first
 * child, next sibling.
 */
export const NODE = { bytes: 80, key: 0, mask: 32, length: 64, field: 68, child: 72, sibling: 76 } as const;
export const KEY_BYTES = 32;
export const TABLES_AT = NODES_AT + NODES * NODE.bytes;

/** What the kernel says of a line. */
export const OTHER = 0;
export const PLAIN = 1;
/** A key that no line had at this place before. */
export const UNKNOWN_KEY = 2;
/** Of a line: first byte, the byte behind the last, what it is. */
export const LINE_BYTES = 12;

/**
 * Parameters: end of the input, lines at most, places of a line in each table, then the tables' addresses: lines, kinds, forms, first and
 * last byte of texts, numbers. Returns the number of lines found.
 */
export type Kernel = (
  to: number,
  lines: number,
  columns: number,
  linesAt: number,
  kindsAt: number,
  formsAt: number,
  placesAt: number,
  numbersAt: number,
) => number;
const PARAMETERS = 8;

const TYPES = {
  to: "i32",
  lines: "i32",
  columns: "i32",
  linesAt: "i32",
  kindsAt: "i32",
  formsAt: "i32",
  placesAt: "i32",
  numbersAt: "i32",
  at: "i32",
  line: "i32",
  record: "i32",
  found: "i32",
  node: "i32",
  base: "i32",
  column: "i32",
  byte: "i32",
  start: "i32",
  stops: "i32",
  high: "i32",
  highHere: "i32",
  digits: "i32",
  decimals: "i32",
  count: "i32",
  eight: "i64",
  digitsValue: "i64",
  number: "f64",
  chunk: "v128",
} as const satisfies Readonly<Record<string, ValueType>>;

const v = locals(TYPES);
const LINE_FEED = 0x0a;
const char = (text: string): Code => i32.const(text.charCodeAt(0));
const here = i32.load8(v.at.get);
const step = (bytes: number): Code => v.at.set(i32.add(v.at.get, i32.const(bytes)));
const skipSpaces: Code = loop(when(i32.equal(here, char(" ")), step(1), branch(1)));
const isDigit = (byte: Code): Code => i32.below(i32.subtract(byte, char("0")), i32.const(10));
const at = (table: Code, width: number): Code => i32.add(table, i32.multiply(v.column.get, i32.const(width)));

function setKind(kind: number): Code {
  return i32.store8(at(v.kindsAt.get, 1), i32.const(kind));
}

/** Finds the child of `node` whose key stands here; branches out of `fail` blocks when there is none. */
function key(fail: number): Code {
  const differs = (offset: number): Code =>
    bytes16.anyBit(
      bytes16.and(
        bytes16.xor(bytes16.load(v.at.get, offset), bytes16.load(v.node.get, NODE.key + offset)),
        bytes16.load(v.node.get, NODE.mask + offset),
      ),
    );
  return [
    ...v.node.set(i32.load(v.node.get, NODE.child)),
    ...block(
      loop(
        when(i32.isZero(v.node.get), v.found.set(i32.const(UNKNOWN_KEY)), branch(fail + 3)),
        when(
          i32.isZero(differs(0)),
          branchIf(i32.below(i32.load(v.node.get, NODE.length), i32.const(17)), 2),
          branchIf(i32.isZero(differs(16)), 2),
        ),
        v.node.set(i32.load(v.node.get, NODE.sibling)),
        branch(0),
      ),
    ),
    ...v.at.set(i32.add(v.at.get, i32.load(v.node.get, NODE.length))),
    ...v.column.set(i32.add(v.base.get, i32.load(v.node.get, NODE.field))),
  ];
}

/** From behind the opening quote to behind the closing one. */
function text(fail: number): Code {
  return [
    ...step(1),
    ...v.start.set(v.at.get),
    ...v.high.set(i32.const(0)),
    ...loop(
      v.chunk.set(bytes16.load(v.at.get)),
      v.highHere.set(bytes16.highBits(v.chunk.get)),
      v.stops.set(
        bytes16.highBits(
          bytes16.or(
            bytes16.or(bytes16.equal(v.chunk.get, bytes16.of(0x22)), bytes16.equal(v.chunk.get, bytes16.of(0x5c))),
            bytes16.below(v.chunk.get, bytes16.of(0x20)),
          ),
        ),
      ),
      when(i32.isZero(v.stops.get), v.high.set(i32.or(v.high.get, v.highHere.get)), step(16), branch(1)),
    ),
    ...v.stops.set(i32.trailingZeros(v.stops.get)),
    ...v.high.set(
      i32.or(v.high.get, i32.and(v.highHere.get, i32.subtract(i32.shiftLeft(i32.const(1), v.stops.get), i32.const(1)))),
    ),
    ...v.at.set(i32.add(v.at.get, v.stops.get)),
    ...branchIf(i32.notEqual(here, char('"')), fail),
    ...setKind(TEXT),
    ...i32.store8(at(v.formsAt.get, 1), i32.notEqual(v.high.get, i32.const(0))),
    ...i32.store(at(v.placesAt.get, 8), v.start.get),
    ...i32.store(at(v.placesAt.get, 8), v.at.get, 4),
    ...step(1),
  ];
}

const HIGHEST_BITS = 0x8080808080808080n;

/**
 * Takes the digits that stand here into `digitsValue`, up to eight at a time without a loop over them: the place of the first byte
 * that is no digit tells how many there are, and they are moved to where the last of eight would be.
 */
const takeDigits: Code = [
  ...loop(
    v.eight.set(i64.xor(i64.load(v.at.get), i64.const(0x3030303030303030n))),
    // A digit is now 0 to 9, and stays below 128 when 118 is added.
    v.count.set(
      i64.toI32(
        i64.shiftRight(
          i64.trailingZeros(
            i64.and(i64.or(i64.add(v.eight.get, i64.const(0x7676767676767676n)), v.eight.get), i64.const(HIGHEST_BITS)),
          ),
          i64.const(3n),
        ),
      ),
    ),
    when(
      v.count.get,
      v.eight.set(
        i64.shiftLeft(v.eight.get, i64.fromI32(i32.subtract(i32.const(64), i32.multiply(v.count.get, i32.const(8))))),
      ),
      v.digitsValue.set(
        i64.add(
          i64.multiply(v.digitsValue.get, i64.load(i32.multiply(v.count.get, i32.const(8)), POWERS_AT)),
          valueOfEight(),
        ),
      ),
      v.at.set(i32.add(v.at.get, v.count.get)),
      branchIf(i32.equal(v.count.get, i32.const(8)), 1),
    ),
  ),
];

/** Eight digits as a number: neighbours are put together three times. */
function valueOfEight(): Code {
  const pairs = i64.shiftRight(i64.multiply(v.eight.get, i64.const(2_561n)), i64.const(8n));
  const fours = i64.shiftRight(
    i64.multiply(i64.and(pairs, i64.const(0x00ff00ff00ff00ffn)), i64.const(6_553_601n)),
    i64.const(16n),
  );
  return i64.shiftRight(
    i64.multiply(i64.and(fours, i64.const(0x0000ffff0000ffffn)), i64.const(42_949_672_960_001n)),
    i64.const(32n),
  );
}

/** Up to fifteen digits and a point: exact as an integer, then one division, as in the scanner. `byte` is the first. */
function number(fail: number): Code {
  return [
    ...when(i32.equal(v.byte.get, char("-")), step(1)),
    ...v.start.set(v.at.get),
    ...v.digitsValue.set(i64.const(0n)),
    ...v.decimals.set(i32.const(0)),
    ...takeDigits,
    ...v.digits.set(i32.subtract(v.at.get, v.start.get)),
    ...branchIf(i32.isZero(v.digits.get), fail),
    ...branchIf(i32.and(i32.above(v.digits.get, i32.const(1)), i32.equal(i32.load8(v.start.get), char("0"))), fail),
    ...when(
      i32.equal(here, char(".")),
      step(1),
      v.start.set(v.at.get),
      takeDigits,
      v.decimals.set(i32.subtract(v.at.get, v.start.get)),
      branchIf(i32.isZero(v.decimals.get), fail + 1),
      v.digits.set(i32.add(v.digits.get, v.decimals.get)),
    ),
    ...branchIf(i32.above(v.digits.get, i32.const(15)), fail),
    ...v.number.set(f64.fromI64(v.digitsValue.get)),
    ...when(
      v.decimals.get,
      v.number.set(f64.divide(v.number.get, f64.load(i32.multiply(v.decimals.get, i32.const(8)), TENS_AT))),
    ),
    ...when(i32.equal(v.byte.get, char("-")), v.number.set(f64.negate(v.number.get))),
    ...setKind(NUMBER),
    ...f64.store(at(v.numbersAt.get, 8), v.number.get),
  ];
}

function word(value: string, kind: number, fail: number): Code {
  const first = Buffer.from(value).readInt32LE(0);
  const last = value.length > 4 ? i32.equal(i32.load8(v.at.get, 4), char(value.slice(4))) : i32.const(1);
  return when(
    i32.and(i32.equal(i32.load(v.at.get), i32.const(first)), last),
    setKind(kind),
    step(value.length),
    branch(fail + 1),
  );
}

/** One value; `done` blocks out is its end. */
function value(fail: number): Code {
  return block(
    v.byte.set(here),
    when(i32.equal(v.byte.get, char('"')), text(fail + 2), branch(1)),
    when(i32.or(isDigit(v.byte.get), i32.equal(v.byte.get, char("-"))), number(fail + 2), branch(1)),
    word("true", TRUE, 0),
    word("false", FALSE, 0),
    word("null", NULL, 0),
    branch(fail + 1),
  );
}

/** The object from its brace to the end of its line; branches out of `fail` blocks when it is not plain. */
function object(fail: number): Code {
  return [
    ...branchIf(i32.notEqual(here, char("{")), fail),
    ...step(1),
    ...v.node.set(i32.const(NODES_AT)),
    ...loop(
      skipSpaces,
      key(fail + 1),
      skipSpaces,
      value(fail + 1),
      skipSpaces,
      v.byte.set(here),
      when(i32.equal(v.byte.get, char(",")), step(1), branch(1)),
      branchIf(i32.notEqual(v.byte.get, char("}")), fail + 1),
    ),
    ...step(1),
    ...skipSpaces,
    ...branchIf(i32.and(i32.below(v.at.get, v.to.get), i32.notEqual(here, i32.const(LINE_FEED))), fail),
    ...v.found.set(i32.const(PLAIN)),
  ];
}

/** To the line feed, or the end of the input. A line feed cannot have been passed: nothing plain has one inside. */
const toLineEnd: Code = [
  ...block(
    loop(
      v.stops.set(bytes16.highBits(bytes16.equal(bytes16.load(v.at.get), bytes16.of(LINE_FEED)))),
      when(v.stops.get, v.at.set(i32.add(v.at.get, i32.trailingZeros(v.stops.get))), branch(2)),
      step(16),
      branchIf(i32.below(v.at.get, v.to.get), 0),
    ),
  ),
  ...when(i32.above(v.at.get, v.to.get), v.at.set(v.to.get)),
];

const body: Code = [
  ...loop(
    loop(when(i32.and(i32.below(v.at.get, v.to.get), i32.equal(here, i32.const(LINE_FEED))), step(1), branch(1))),
    when(i32.or(i32.atLeast(v.at.get, v.to.get), i32.atLeast(v.line.get, v.lines.get)), giveBack(v.line.get)),
    v.record.set(i32.add(v.linesAt.get, i32.multiply(v.line.get, i32.const(LINE_BYTES)))),
    v.base.set(i32.multiply(v.line.get, v.columns.get)),
    v.found.set(i32.const(OTHER)),
    i32.store(v.record.get, v.at.get),
    block(object(0)),
    when(i32.notEqual(v.found.get, i32.const(PLAIN)), toLineEnd),
    i32.store(v.record.get, v.at.get, 4),
    i32.store(v.record.get, v.found.get, 8),
    v.line.set(i32.add(v.line.get, i32.const(1))),
    branch(0),
  ),
  ...i32.const(0),
];

/** What is used of WebAssembly: the types come with a browser's library only. */
declare const WebAssembly: {
  validate(bytes: Uint8Array): boolean;
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Memory: new (pages: { readonly initial: number }) => { readonly buffer: ArrayBuffer };
  readonly Instance: new (module: object, imports: object) => { readonly exports: Readonly<Record<string, unknown>> };
};

const PAGE_BYTES = 0x1_0000;
let compiled: object | undefined;

/**
 * The kernel and a memory of its own with room for `bytes`; undefined where the machine has no vector instructions, and then the scanner
 * reads every line.
 */
export function makeKernel(bytes: number): { readonly run: Kernel; readonly buffer: ArrayBuffer } | undefined {
  if (compiled === undefined) {
    const module = moduleOf(PARAMETERS, Object.values(TYPES), body);
    if (!WebAssembly.validate(module)) return undefined;
    compiled = new WebAssembly.Module(module);
  }
  const memory = new WebAssembly.Memory({ initial: Math.ceil(bytes / PAGE_BYTES) });
  const { exports } = new WebAssembly.Instance(compiled, { env: { memory } });
  const tens = new Float64Array(memory.buffer, TENS_AT, TENS);
  for (let i = 0; i < TENS; i++) tens[i] = 10 ** i;
  const powers = new BigInt64Array(memory.buffer, POWERS_AT, POWERS);
  for (let i = 0; i < POWERS; i++) powers[i] = 10n ** BigInt(i);
  return { run: exports["run"] as Kernel, buffer: memory.buffer };
}
