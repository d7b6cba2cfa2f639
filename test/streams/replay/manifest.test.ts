import { writeFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { packageRoot } from "../../../src/core/index.js";
import { readSample } from "../../../src/streams/replay/manifest.js";
import { countRecords } from "../../../src/streams/replay/records.js";
import { writeSample } from "../../support/sample.js";

t.test("sources, their stream and their files", async (t) => {
  const at = (ms: number) => [{ at: ms }];
  const { path, remove } = writeSample({
    github: { "g/deliveries.gz": at(5), "g/examples.gz": at(7) },
    mine: { "m/a.gz": at(1) },
  });
  t.teardown(remove);
  const sample = await readSample(path);
  t.match(sample.id, /^[0-9a-f]{16}$/);
  t.same(sample.sources, [
    {
      name: "github",
      stream: "github",
      files: [
        { path: join(path, "g/deliveries.gz"), shifted: true },
        { path: join(path, "g/examples.gz"), shifted: false },
      ],
      firstMs: 5,
      lastMs: 7,
      sent: 2,
    },
    {
      name: "mine",
      stream: "telemetry",
      files: [{ path: join(path, "m/a.gz"), shifted: true }],
      firstMs: 1,
      lastMs: 1,
      sent: 1,
    },
  ]);
});

t.test("what is no manifest is named", async (t) => {
  const { path, remove } = writeSample({ mine: { "a.gz": [{ at: 1 }] } });
  t.teardown(remove);
  await t.rejects(readSample(join(path, "nowhere")), { code: "MR_OPTION_INVALID", message: /manifest\.json/ });
  writeFileSync(join(path, "manifest.json"), '{"sources":{"mine":{"files":[],"firstMs":2,"lastMs":1,"sent":0}}}');
  await t.rejects(readSample(path), { code: "MR_OPTION_INVALID", message: /firstMs <= lastMs/ });
  writeFileSync(join(path, "manifest.json"), "{");
  await t.rejects(readSample(path), { code: "MR_OPTION_INVALID" });
});

t.test("the bundled sample holds as many records as its manifest says, between the times it says", async (t) => {
  const { sources } = await readSample(join(packageRoot(), "samples"));
  t.same(
    sources.map(({ name }) => name),
    ["github", "mine", "sensors"],
  );
  for (const { name, files, firstMs, lastMs, sent } of sources) {
    const from = files.map((file) => ({ file, offsetMs: 0 }));
    t.same([await countRecords(from, firstMs - 1), await countRecords(from, lastMs)], [0, sent], name);
  }
});
