/** Writes small ONNX models by hand (protobuf, IR 8, opset 17 and ai.onnx.ml 3), so that the tests need no model file. */

const encoder = new TextEncoder();

function bytes(...parts: readonly Iterable<number>[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

function varint(value: number): number[] {
  const out: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return [...out, rest];
    out.push((rest % 128) + 128);
  }
}

const field = (id: number, body: Uint8Array) => bytes(varint(id * 8 + 2), varint(body.length), body);
const integer = (id: number, value: number) => bytes(varint(id * 8), varint(value));
const text = (id: number, value: string) => field(id, encoder.encode(value));
const floats = (values: readonly number[]) => new Uint8Array(Float32Array.from(values).buffer);

function node(
  op: string,
  inputs: readonly string[],
  outputs: readonly string[],
  attributes: readonly Uint8Array[] = [],
) {
  const domain = attributes.length > 0 ? [text(7, "ai.onnx.ml")] : [];
  const names = [...inputs.map((name) => text(1, name)), ...outputs.map((name) => text(2, name))];
  return field(1, bytes(...names, text(4, op), ...attributes.map((attribute) => field(5, attribute)), ...domain));
}

function floatsAttribute(name: string, values: readonly number[]): Uint8Array {
  return bytes(text(1, name), ...values.map((value) => bytes([7 * 8 + 5], floats([value]))), integer(20, 6));
}

function integersAttribute(name: string, values: readonly number[]): Uint8Array {
  return bytes(text(1, name), ...values.map((value) => integer(8, value)), integer(20, 7));
}

function textsAttribute(name: string, values: readonly string[]): Uint8Array {
  return bytes(text(1, name), ...values.map((value) => text(9, value)), integer(20, 8));
}

function floatTensor(name: string, dims: readonly number[], values: readonly number[]): Uint8Array {
  return field(5, bytes(...dims.map((dim) => integer(1, dim)), integer(2, 1), text(8, name), field(9, floats(values))));
}

function axesTensor(name: string, axis: number): Uint8Array {
  const raw = new Uint8Array(BigInt64Array.from([BigInt(axis)]).buffer);
  return field(5, bytes(integer(1, 1), integer(2, 7), text(8, name), field(9, raw)));
}

function valueInfo(id: number, name: string, width: number | undefined): Uint8Array {
  const dims = [field(1, text(2, "n")), ...(width === undefined ? [] : [field(1, integer(1, width))])];
  return field(id, bytes(text(1, name), field(2, field(1, bytes(integer(1, 1), field(2, bytes(...dims)))))));
}

function model(nodes: readonly Uint8Array[], initializers: readonly Uint8Array[], width: number, outWidth?: number) {
  const graph = bytes(
    ...nodes,
    text(2, "test"),
    ...initializers,
    valueInfo(11, "x", width),
    valueInfo(12, "y", outWidth),
  );
  const opsets = [field(8, integer(2, 17)), field(8, bytes(text(1, "ai.onnx.ml"), integer(2, 3)))];
  return bytes(integer(1, 8), field(7, graph), ...opsets);
}

/** y = x·w + b, each in another way of writing it. `reduceSum` rounds by the row's place in memory. */
export function linearModels(weights: readonly number[], bias: number): Readonly<Record<string, Uint8Array>> {
  const width = weights.length;
  const column = floatTensor("w", [width, 1], weights);
  const offset = floatTensor("b", [1], [bias]);
  const attributes = [floatsAttribute("coefficients", weights), floatsAttribute("intercepts", [bias])];
  const sum = [node("Mul", ["x", "w"], ["m"]), node("ReduceSum", ["m", "axes"], ["s"]), node("Add", ["s", "b"], ["y"])];
  return {
    gemm: model([node("Gemm", ["x", "w", "b"], ["y"])], [column, offset], width, 1),
    matmul: model([node("MatMul", ["x", "w"], ["m"]), node("Add", ["m", "b"], ["y"])], [column, offset], width, 1),
    regressor: model([node("LinearRegressor", ["x"], ["y"], attributes)], [], width, 1),
    reduceSum: model(sum, [floatTensor("w", [width], weights), offset, axesTensor("axes", 1)], width, 1),
  };
}

/** A forest of stumps: tree i adds `low` or `high` by x[feature] <= threshold. */
export function stumpForest(
  stumps: readonly {
    readonly feature: number;
    readonly threshold: number;
    readonly low: number;
    readonly high: number;
  }[],
  width: number,
): Uint8Array {
  const per = <T>(pick: (stump: (typeof stumps)[number], tree: number) => readonly T[]) => stumps.flatMap(pick);
  const attributes = [
    integersAttribute(
      "nodes_treeids",
      per((_, tree) => [tree, tree, tree]),
    ),
    integersAttribute(
      "nodes_nodeids",
      per(() => [0, 1, 2]),
    ),
    integersAttribute(
      "nodes_featureids",
      per(({ feature }) => [feature, 0, 0]),
    ),
    floatsAttribute(
      "nodes_values",
      per(({ threshold }) => [threshold, 0, 0]),
    ),
    textsAttribute(
      "nodes_modes",
      per(() => ["BRANCH_LEQ", "LEAF", "LEAF"]),
    ),
    integersAttribute(
      "nodes_truenodeids",
      per(() => [1, 0, 0]),
    ),
    integersAttribute(
      "nodes_falsenodeids",
      per(() => [2, 0, 0]),
    ),
    integersAttribute(
      "target_treeids",
      per((_, tree) => [tree, tree]),
    ),
    integersAttribute(
      "target_nodeids",
      per(() => [1, 2]),
    ),
    integersAttribute(
      "target_ids",
      per(() => [0, 0]),
    ),
    floatsAttribute(
      "target_weights",
      per(({ low, high }) => [low, high]),
    ),
    bytes(text(1, "n_targets"), integer(3, 1), integer(20, 2)),
  ];
  return model([node("TreeEnsembleRegressor", ["x"], ["y"], attributes)], [], width, 1);
}

/** Says two values a row: not something the port can serve. */
export function twoColumns(): Uint8Array {
  return model([node("Identity", ["x"], ["y"])], [], 2, 2);
}
