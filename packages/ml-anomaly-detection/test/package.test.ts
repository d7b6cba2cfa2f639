import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { publint } from "publint";
import { formatMessage } from "publint/utils";
import t from "tap";
import { packageFolder } from "./files.js";

const folder = packageFolder();

t.test("publint has nothing to say", async (t) => {
  const { messages, pkg } = await publint({ pkgDir: folder, pack: false, strict: true });
  t.same(
    messages.map((message) => formatMessage(message, pkg)),
    [],
  );
});

t.test("what README and docs link to is there, and published", async (t) => {
  const { files } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as { files: string[] };
  for (const page of ["README.md", "docs/AUTO.md", "docs/CALIBRATION.md", "docs/REFERENCES.md"]) {
    const text = readFileSync(join(folder, page), "utf8");
    for (const [, target] of text.matchAll(/\]\((?!https?:)([^)#]+)/g)) {
      const path = join(dirname(page), target as string);
      t.ok(existsSync(join(folder, path)), `${page}: ${path}`);
      t.ok(
        files.some((entry) => path.startsWith(entry)),
        `${path} is published`,
      );
    }
  }
});
