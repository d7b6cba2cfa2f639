import { readFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { packageRoot } from "../../src/core/index.js";

t.test("the package root is where our package.json is, also from build/", async (t) => {
  const root = packageRoot();
  t.equal(JSON.parse(readFileSync(join(root, "package.json"), "utf8")).name, "millrace");
  t.equal(packageRoot(), root);
});
