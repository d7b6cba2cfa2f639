/**
 * A small assembler for WebAssembly: code is lists of bytes, put together by functions named after the instructions. Just what the
 * line kernel needs. Source: WebAssembly Core Specification 2.0, "Binary Format".
 */
export type Code = readonly number[];

const EMPTY_TYPE = 0x40;
const I32 = 0x7f;
const TYPES = { i32: I32, i64: 0x7e, f64: 0x7c, v128: 0x7b } as const;
export type ValueType = keyof typeof TYPES;

/** LEB128 of an unsigned integer. */
function unsigned(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 0x80) {
    bytes.push((rest % 0x80) | 0x80);
    rest = Math.floor(rest / 0x80);
  }
  bytes.push(rest);
  return bytes;
}

/** LEB128 of a signed integer. */
function signed(value: bigint): number[] {
  const bytes: number[] = [];
  for (let rest = value; ; ) {
    const byte = Number(rest & 0x7fn);
    rest >>= 7n;
    if ((rest === 0n && byte < 0x40) || (rest === -1n && byte >= 0x40)) return [...bytes, byte];
    bytes.push(byte | 0x80);
  }
}

const operation =
  (...opcode: readonly number[]) =>
  (...operands: readonly Code[]): Code => [...operands.flat(), ...opcode];
const load =
  (...opcode: readonly number[]) =>
  (address: Code, offset = 0): Code => [...address, ...opcode, 0, ...unsigned(offset)];
const store =
  (...opcode: readonly number[]) =>
  (address: Code, value: Code, offset = 0): Code => [...address, ...value, ...opcode, 0, ...unsigned(offset)];
const simd = (opcode: number): number[] => [0xfd, ...unsigned(opcode)];

export const i32 = {
  const: (value: number): Code => [0x41, ...signed(BigInt(value | 0))],
  load: load(0x28),
  load8: load(0x2d),
  store: store(0x36),
  store8: store(0x3a),
  isZero: operation(0x45),
  equal: operation(0x46),
  notEqual: operation(0x47),
  below: operation(0x49),
  above: operation(0x4b),
  atLeast: operation(0x4f),
  trailingZeros: operation(0x68),
  add: operation(0x6a),
  subtract: operation(0x6b),
  multiply: operation(0x6c),
  and: operation(0x71),
  or: operation(0x72),
  shiftLeft: operation(0x74),
} as const;

export const i64 = {
  const: (value: bigint): Code => [0x42, ...signed(BigInt.asIntN(64, value))],
  load: load(0x29),
  trailingZeros: operation(0x7a),
  add: operation(0x7c),
  multiply: operation(0x7e),
  and: operation(0x83),
  or: operation(0x84),
  xor: operation(0x85),
  shiftLeft: operation(0x86),
  shiftRight: operation(0x88),
  fromI32: operation(0xad),
  toI32: operation(0xa7),
} as const;

export const f64 = {
  load: load(0x2b),
  store: store(0x39),
  negate: operation(0x9a),
  divide: operation(0xa3),
  fromI64: operation(0xb9),
} as const;

export const bytes16 = {
  load: load(...simd(0x00)),
  /** The byte, 16 times. */
  of: (byte: number): Code => [...i32.const(byte), ...simd(0x0f)],
  equal: operation(...simd(0x23)),
  below: operation(...simd(0x26)),
  and: operation(...simd(0x4e)),
  or: operation(...simd(0x50)),
  xor: operation(...simd(0x51)),
  anyBit: operation(...simd(0x53)),
  /** The highest bit of each byte. */
  highBits: operation(...simd(0x64)),
} as const;

export const block = (...body: readonly Code[]): Code => [0x02, EMPTY_TYPE, ...body.flat(), 0x0b];
export const loop = (...body: readonly Code[]): Code => [0x03, EMPTY_TYPE, ...body.flat(), 0x0b];
export const when = (condition: Code, ...body: readonly Code[]): Code => [
  ...condition,
  0x04,
  EMPTY_TYPE,
  ...body.flat(),
  0x0b,
];
/** To the end of the nth block around, or the beginning when that is a loop; a `when` counts as a block. */
export const branch = (depth: number): Code => [0x0c, depth];
export const branchIf = (condition: Code, depth: number): Code => [...condition, 0x0d, depth];
export const giveBack = (value: Code): Code => [...value, 0x0f];

export interface Local {
  readonly get: Code;
  set(value: Code): Code;
}

/** The locals of a function in order; parameters come first. */
export function locals<N extends string>(names: Readonly<Record<N, ValueType>>): Record<N, Local> {
  const made = Object.keys(names).map((name, i): [string, Local] => [
    name,
    { get: [0x20, ...unsigned(i)], set: (value) => [...value, 0x21, ...unsigned(i)] },
  ]);
  return Object.fromEntries(made) as Record<N, Local>;
}

function section(id: number, ...content: readonly Code[]): Code {
  const body = content.flat();
  return [id, ...unsigned(body.length), ...body];
}

const text = (value: string): Code => [...unsigned(value.length), ...Buffer.from(value)];

/** A module that imports the memory `env.memory` and exports one function `run` of `i32` parameters that gives an `i32`. */
export function moduleOf(parameters: number, types: readonly ValueType[], body: Code): Uint8Array {
  const variables = types.slice(parameters).flatMap((type) => [1, TYPES[type]]);
  const code = [...unsigned(types.length - parameters), ...variables, ...body, 0x0b];
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, [1, 0x60], unsigned(parameters), new Array<number>(parameters).fill(I32), [1, I32]),
    ...section(2, [1], text("env"), text("memory"), [2, 0, 1]),
    ...section(3, [1, 0]),
    ...section(7, [1], text("run"), [0, 0]),
    ...section(10, [1], unsigned(code.length), code),
  ]);
}
