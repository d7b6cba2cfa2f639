import { join } from "node:path";
import { packageRoot } from "../core/index.js";

/** The ONNX models of this build: name to file. How each was made stands in the JSON beside it. */
export const models: Readonly<Record<string, string>> = {
  "litres-per-cycle": join(packageRoot(), "src/pipelines/mine/models/litres-per-cycle.onnx"),
};
