import t from "tap";
import {
  count,
  pipeline,
  type ScoreModel,
  TestKit,
  testSource,
  testTarget,
  tumbling,
} from "../../../../src/operators/engine/index.js";
import type { Reading } from "../support/arrivals.js";
import { readingOf } from "../support/run.js";

const event = (timeMs: number, x: number, key = "a"): Reading => ({ id: timeMs, key, timeMs, x });

/** Feeds one event, changes something by control message, feeds the same event again; with cuts and without. */
function play(build: (topology: ReturnType<typeof pipeline>) => void, kind: string, body: object): unknown[][] {
  return [false, true].map((cutAlways) => {
    const topology = pipeline("test.control");
    build(topology);
    const kit = new TestKit<Reading>(topology);
    kit.cutAlways = cutAlways;
    kit.event(1, event(1, 5)).control(kind, body).event(2, event(2, 5)).control("unrelated", body);
    return [...kit.rows()];
  });
}

t.test("a threshold changes at its place in the log", async (t) => {
  const found = play(
    (topology) => {
      const thresholds = topology.table<number>("thresholds", {
        kind: "threshold",
        read: (body) => body as { key: string; value: number },
      });
      topology
        .from(testSource<Reading>())
        .map(readingOf)
        .lookup(
          thresholds,
          ({ key }) => key,
          ({ x }, threshold = 10) => x > threshold,
        )
        .to(testTarget());
    },
    "threshold",
    { key: "a", value: 3 },
  );
  t.same(found, [
    [false, true],
    [false, true],
  ]);
});

t.test("rules change at their place in the log: a set of them under one key", async (t) => {
  interface Rule {
    readonly name: string;
    readonly above: number;
  }
  const found = play(
    (topology) => {
      const rules = topology.table<readonly Rule[]>("rules", {
        kind: "rules",
        read: (body) => ({ key: "all", value: (body as { rules: Rule[] }).rules }),
      });
      topology
        .from(testSource<Reading>())
        .map(readingOf)
        .lookup(
          rules,
          () => "all",
          ({ x }, all = []) => all.filter(({ above }) => x > above).map(({ name }) => name),
        )
        .to(testTarget());
    },
    "rules",
    {
      rules: [
        { name: "low", above: 1 },
        { name: "high", above: 7 },
      ],
    },
  );
  t.same(found, [
    [[], ["low"]],
    [[], ["low"]],
  ]);
});

t.test("a model is promoted at its place in the log", async (t) => {
  interface Weights {
    readonly slope: number;
  }
  const found = play(
    (topology) => {
      const models = topology.table<Weights>("models", {
        kind: "promote",
        read: (body) => ({ key: "champion", value: body as Weights }),
      });
      topology
        .from(testSource<Reading>())
        .map(readingOf)
        .lookup(
          models,
          () => "champion",
          ({ x }, model) => x * (model?.slope ?? 1),
        )
        .to(testTarget());
    },
    "promote",
    { slope: 4 },
  );
  t.same(found, [
    [5, 20],
    [5, 20],
  ]);
});

t.test("a lookup table changes at its place in the log; a change that cannot be read is a dead letter", async (t) => {
  const topology = pipeline("test.control");
  const names = topology.table<string>("names", {
    kind: "name",
    read: (body) => {
      const { key, value } = body as { key: string; value?: string };
      if (typeof key !== "string") throw new TypeError("a name needs a key");
      return { key, value };
    },
  });
  topology
    .from(testSource<Reading>())
    .map(readingOf)
    .keyBy(({ key }) => key)
    .lookup(
      names,
      ({ key }) => key,
      ({ id }, name) => `${id} ${name}`,
    )
    .to(testTarget());
  const kit = new TestKit<Reading>(topology);
  kit.cutAlways = true;
  kit.event(1, event(1, 0)).control("name", { key: "a", value: "Ada" }).event(2, event(2, 0));
  kit.control("name", { value: "nobody" }).event(3, event(3, 0));
  kit.control("name", { key: "a" }).event(4, event(4, 0));
  t.same(kit.rows(), ["1 undefined", "2 Ada", "3 Ada", "4 undefined"]);
  t.match(kit.dead(), [{ reason: "names threw: a name needs a key" }]);
  t.same(
    kit.metrics().map(({ name, keys }) => [name, keys]),
    [["names", 0]],
  );
});

t.test(
  "control messages are a stream: filed under the watermark, whatever came before them, with any cuts",
  async (t) => {
    const topology = () => {
      const all = pipeline("test.control");
      const commands = all.control("command", (body) => {
        const { key } = body as { key?: string };
        if (key === undefined) throw new TypeError("a command needs a key");
        return key;
      });
      all.from(testSource<Reading>()).to(testTarget("events"));
      commands
        .map((key, at) => ({ key, was: at.key, timeMs: at.timeMs, source: at.source }))
        .keyBy(({ key }) => key)
        .window("per ten", tumbling({ sizeMs: 10 }))
        .aggregate({ n: count() })
        .to(testTarget());
      commands.map((_key, at) => [at.key, at.timeMs, at.source]).to(testTarget("at"));
      return all;
    };
    for (const cutAlways of [false, true]) {
      const kit = new TestKit<Reading>(topology());
      kit.cutAlways = cutAlways;
      kit.control("command", { key: "a" });
      kit.watermark(15).event(99, event(99, 1), { source: "other" });
      kit.control("command", { key: "a" }).control("command", {}).control("command", { key: "a" });
      kit.watermark(100);
      t.same(kit.rows("at"), [
        ["", 0, ""],
        ["", 15, ""],
        ["", 15, ""],
      ]);
      t.match(kit.rows(), [
        { key: "a", startMs: 0, n: 1 },
        { key: "a", startMs: 10, n: 2 },
      ]);
      t.match(kit.dead(), [{ reason: "control command threw: a command needs a key" }]);
    }
  },
);

t.test("what is not JSON, or not an object, is a dead letter; a message of no known kind is ignored", async (t) => {
  const topology = pipeline("test.control");
  topology.from(testSource<Reading>()).to(testTarget());
  const kit = new TestKit<Reading>(topology);
  kit
    .control("nobody-listens", {})
    .control("command", [] as never)
    .control("command", "text" as never);
  kit.control("command", null as never);
  t.match(kit.dead(), [
    { reason: "control message test.0._ctl.command: not an object" },
    { reason: "control message test.0._ctl.command: not an object" },
  ]);
  kit.tick(0.5);
  t.match(kit.dead().at(-1), { reason: "control message test.0._tick.live: a tick needs source and integer t" });
});

t.test("score: a model is the key's own, or one for all", async (t) => {
  class Seen implements ScoreModel<Reading, number> {
    #n = 0;
    scoreOne = (): number | undefined => (this.#n === 0 ? undefined : this.#n);
    learnOne = (): void => void this.#n++;
    save = (): unknown => this.#n;
    load = (saved: unknown): void => {
      this.#n = saved as number;
    };
  }
  for (const per of ["key", "all"] as const) {
    const topology = pipeline("test.score")
      .from(testSource<Reading>())
      .map(readingOf)
      .keyBy(({ key }) => key)
      .score("s", { model: () => new Seen(), per, combine: ({ key }, score) => `${key} ${score ?? "-"}` })
      .to(testTarget());
    const kit = new TestKit<Reading>(topology);
    kit.cutAlways = true;
    for (const key of ["a", "b", "a", "b"]) kit.event(1, event(1, 1, key));
    t.same(kit.rows(), per === "key" ? ["a -", "b -", "a 1", "b 1"] : ["a -", "b 1", "a 2", "b 3"]);
    t.same(
      kit.metrics().map(({ name, keys }) => [name, keys]),
      [["s", per === "key" ? 2 : 1]],
    );
  }
});
