/** What an example needs; outside this repository these come from the package. */

export { encodeToken, fieldReader, num, optional, str } from "../src/core/index.js";
export * from "../src/operators/engine/index.js";
