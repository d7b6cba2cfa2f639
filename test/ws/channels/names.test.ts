import t from "tap";
import type { StreamChannel } from "../../../src/core/index.js";
import { CHANNELS } from "../../../src/pipelines/channels.js";
import { channelShape } from "../../../src/ws/channels/names.js";

const declared = (name: string, subject: string): StreamChannel => ({
  name,
  kind: "history",
  stream: subject.split(".")[0] ?? "",
  subject,
  delivery: "lossless",
  role: "viewer",
});

t.test("a name is a pattern of subjects, a subject has its names", async (t) => {
  const shape = channelShape(declared("features.<pipeline>[.<key>]", "features.*.<pipeline>.<key>"));
  t.equal(shape.pattern, "features.*.*.*");
  t.same(shape.patterns, ["features.*", "features.*.*"]);
  const subjects: [name: string, subject: string | undefined][] = [
    ["features.mine", "features.*.mine.*"],
    ["features.mine.truck%2D07", "features.*.mine.truck%2D07"],
    ["features", undefined],
    ["features.mine.a.b", undefined],
    ["features.*", undefined],
    ["features.>", undefined],
    ["features.", undefined],
    ["featuresx.mine", undefined],
    ["features.mine.ü", undefined],
    ["features.mine. ", undefined],
  ];
  for (const [name, subject] of subjects) t.equal(shape.subjectOf(name), subject, name);
  t.same(shape.namesOf("features.3.mine.k"), ["features.mine", "features.mine.k"]);
  for (const mark of ["features._at.task", "features.0._mark.x", "features.0._tick.live"])
    t.same(shape.namesOf(mark), []);
  // More than are remembered, each asked twice.
  for (const round of [1, 2])
    for (let n = 0; n < 1_500; n++) {
      const names = shape.namesOf(`features.0.p${n}.k`);
      if (names[1] !== `features.p${n}.k`) t.same(names, [`features.p${n}`, `features.p${n}.k`], `round ${round}`);
    }
});

t.test("declarations that cannot be meant", async (t) => {
  for (const [name, subject] of [
    ["", "a.b"],
    ["Alerts", "alerts.*"],
    ["alerts[.<domain>]", "alerts.*"],
    ["alerts[.<domain>].<site>", "alerts.<domain>.<site>"],
  ] as const)
    t.throws(() => channelShape(declared(name, subject)), { code: "MR_OPTION_INVALID" }, name);
});

t.test("the channels of this build have names of their own", async (t) => {
  const bases = CHANNELS.map((declaration) => channelShape(declaration).base);
  t.equal(new Set(bases).size, bases.length);
});
