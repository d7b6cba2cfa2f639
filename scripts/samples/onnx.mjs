/**
 * Writes a linear model as ONNX. The file format is protobuf; the few messages needed are written out here, numbers being
 * field numbers of onnx.proto (ModelProto, GraphProto, NodeProto, TensorProto, ValueInfoProto).
 */
const IR_VERSION = 8;
const OPSET = 13;
const FLOAT = 1; // TensorProto.DataType

/**
 * `output[N,1] = input[N,k] x weights[k,1]` in float32: one MatMul; a constant feature carries the intercept.
 * @param properties texts kept in the model's metadata
 */
export function linearOnnx({ name, input, output, weights, properties }) {
  const bytes = Buffer.alloc(weights.length * 4);
  for (const [i, weight] of weights.entries()) bytes.writeFloatLE(weight, i * 4);
  const initializer = [...dims(1, [weights.length, 1]), ...number(2, FLOAT), ...text(8, "weights"), ...field(9, bytes)];
  const node = [
    ...text(1, input),
    ...text(1, "weights"),
    ...text(2, output),
    ...text(3, "linear"),
    ...text(4, "MatMul"),
  ];
  const graph = [
    ...field(1, node),
    ...text(2, name),
    ...field(5, initializer),
    ...field(11, valueInfo(input, weights.length)),
    ...field(12, valueInfo(output, 1)),
  ];
  const metadata = Object.entries(properties).flatMap(([key, value]) =>
    field(14, [...text(1, key), ...text(2, value)]),
  );
  const model = [
    ...number(1, IR_VERSION),
    ...text(2, "millrace"),
    ...field(7, graph),
    ...field(8, number(2, OPSET)),
    ...metadata,
  ];
  return Buffer.from(model);
}

// A float tensor [N, width], N free.
function valueInfo(name, width) {
  const shape = [...field(1, text(2, "N")), ...field(1, number(1, width))];
  return [...text(1, name), ...field(2, field(1, [...number(1, FLOAT), ...field(2, shape)]))];
}

const dims = (id, sizes) => sizes.flatMap((size) => number(id, size));
const number = (id, value) => [...varint(id << 3), ...varint(value)];
const field = (id, bytes) => [...varint((id << 3) | 2), ...varint(bytes.length), ...bytes];
const text = (id, value) => field(id, Buffer.from(value, "utf8"));

function varint(value) {
  const bytes = [];
  for (; value > 127; value >>>= 7) bytes.push((value & 127) | 128);
  return [...bytes, value];
}
