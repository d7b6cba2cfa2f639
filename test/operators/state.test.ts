import t from "tap";
import { isMillraceError } from "../../src/core/index.js";
import { loadState, type Stateful, saveState } from "../../src/operators/index.js";

function box(value: unknown): Stateful & { value: unknown } {
  return {
    value,
    save() {
      return this.value;
    },
    load(state) {
      if (state === "refused") throw new TypeError("cannot take this");
      this.value = state;
    },
  };
}

t.test("equal states give equal bytes, whatever the order of names; fields keep theirs through load", async (t) => {
  const one = saveState("p", 1, { a: box({ y: [2], x: 1 }), b: box(null) });
  t.same(saveState("p", 1, { b: box(null), a: box({ y: [2], x: 1 }) }), one);
  const [a, b] = [box(0), box(0)];
  loadState(one, "p", 1, { a, b });
  t.equal(JSON.stringify([a.value, b.value]), '[{"y":[2],"x":1},null]');
  t.same(saveState("p", 1, { a, b }), one);
});

t.test("MR_STATE_INCOMPATIBLE for anything else", async (t) => {
  const saved = saveState("p", 1, { a: box("x"), b: box("refused") });
  const names = { a: box(0), b: box(0) };
  const table: readonly [string, () => void][] = [
    ["another program", () => loadState(saved, "q", 1, names)],
    ["another version", () => loadState(saved, "p", 2, names)],
    ["a missing operator", () => loadState(saved, "p", 1, { ...names, c: box(0) })],
    ["a surplus operator", () => loadState(saved, "p", 1, { a: box(0) })],
    ["a state the operator refuses", () => loadState(saved, "p", 1, names)],
    ["not JSON", () => loadState(Buffer.from("{"), "p", 1, names)],
    ["not UTF-8", () => loadState(Uint8Array.of(0xff, 0xfe), "p", 1, names)],
    ["not a container", () => loadState(Buffer.from("null"), "p", 1, names)],
    [
      "another format",
      () => loadState(Buffer.from('{"format":9,"program":"p","version":1,"operators":{}}'), "p", 1, {}),
    ],
  ];
  for (const [name, load] of table) {
    try {
      load();
      t.fail(name);
    } catch (error) {
      t.ok(isMillraceError(error, "MR_STATE_INCOMPATIBLE"), name);
    }
  }
});
