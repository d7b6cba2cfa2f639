export { BLOCK_ROWS, createInference, type InferenceOptions, type ModelRunner } from "./onnx.js";
