import t from "tap";
import { pipelines } from "../../src/pipelines/index.js";
import { zeroInference } from "../support/program-runner.js";

t.test("the table: names are one of a kind, stateful steps of a pipeline too", async (t) => {
  const names = pipelines.map(({ name }) => name);
  t.same(names, ["parallel-org.activity", "mine.telemetry", "mine.site", "rules", "alarms.desk"]);
  for (const { name, source, writes, steps, nodes } of pipelines) {
    const written = new Set(steps.flatMap(({ to = [] }) => to));
    t.ok(
      [...written].every((stream) => writes.includes(stream)),
      `${name} says where it writes`,
    );
    t.match(steps[0], { kind: "source", name: `from ${source}` });
    const stateful = nodes.filter((node) => node.stateful).map((node) => node.name);
    t.equal(new Set(stateful).size, stateful.length);
  }
});

t.test("a program saves and loads its fresh state, and refuses another's", async (t) => {
  for (const pipeline of pipelines) {
    const { name } = pipeline;
    const context = { task: `${name}/0`, partition: 0, partitions: 4, inference: zeroInference };
    const saved = pipeline.create(context).save();
    const program = pipeline.create(context);
    program.load(saved);
    t.same(program.save(), saved, name);
    t.equal(program.watermarkMs(), undefined);
    const others = pipelines.filter((other) => other.name !== name);
    for (const other of others) t.throws(() => other.create(context).load(saved), { code: "MR_STATE_INCOMPATIBLE" });
  }
});
