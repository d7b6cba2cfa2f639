import assert from "node:assert/strict";
import fc from "fast-check";
import t from "tap";
import { TextArena } from "../../../../src/operators/engine/state/texts.js";

t.test("texts: each stays what it is, whatever comes and goes around it", async (t) => {
  const text = fc.oneof(
    fc.string({ maxLength: 12 }),
    fc.string({ unit: "binary", maxLength: 12 }),
    fc.constantFrom("", "\ud800", "é", "ÿ", "Ā", "x".repeat(300), "y".repeat(70_000), "ж".repeat(40_000)),
  );
  const property = fc.property(fc.array(fc.tuple(text, fc.nat(20)), { maxLength: 60 }), (steps) => {
    const arena = new TextArena();
    const other = new TextArena();
    const held: { text: string; place: number; form: number }[] = [];
    for (const [text, remove] of steps) {
      const place = arena.put(text);
      held.push({ text, place, form: arena.form });
      if (remove < 8) {
        const [gone] = held.splice(remove % held.length, 1);
        if (gone !== undefined) arena.free(gone.place, gone.form);
      }
      for (const { text, place, form } of held) {
        assert.equal(arena.get(place, form), text);
        assert.ok(arena.equals(place, form, text));
        assert.ok(!arena.equals(place, form, `${text}.`));
        const otherPlace = other.put(text);
        assert.equal(other.form, form);
        assert.ok(arena.equalsOther(place, form, other, otherPlace));
      }
    }
  });
  t.doesNotThrow(() => fc.assert(property, { seed: 31, numRuns: 200 }));
});

t.test("texts: what is freed makes room for the next of its length, but not while it must stay readable", async (t) => {
  const arena = new TextArena();
  const first = arena.put("abcd");
  arena.put("other");
  arena.free(first, 8);
  t.equal(arena.put("efg"), first, "rounded up to 4 bytes");
  arena.keep(true);
  arena.free(first, 6);
  t.not(arena.put("hij"), first);
  t.equal(arena.get(first, 6), "efg");
  arena.keep(false);
  t.equal(arena.put("klm"), first);
  const before = arena.bytes;
  for (let i = 0; i < 100_000; i++) arena.free(arena.put(`key ${i % 10}`), 10);
  t.equal(arena.bytes, before, "no leak");
});

t.test(
  "texts: placed one behind another, rounded up to 4 bytes; the first chunk doubles up to 65 536 bytes",
  async (t) => {
    const arena = new TextArena();
    t.equal(arena.bytes, 0);
    const rooms: number[] = [];
    const places: number[] = [];
    for (const text of ["", "a", "abcd", "abcde", "ж", "жж", "жжж"]) places.push(arena.put(text));
    t.same(places, [0, 4, 8, 12, 20, 24, 32], "a text that turns out to need two bytes a unit leaves its first place");
    t.equal(arena.put("hole"), 28);
    t.equal(arena.bytes, 256);
    const full = new TextArena();
    full.put("x".repeat(256));
    t.equal(full.bytes, 256, "a text that fills the smallest chunk");
    for (let i = 0; i < 64; i++) full.put("wxyz");
    t.equal(full.bytes, 512, "is followed by as much again");
    for (let place = 40; place < 65_536; place += 4) {
      if (arena.put("wxyz") !== place) t.fail(`not at ${place}`);
      if (rooms.at(-1) !== arena.bytes) rooms.push(arena.bytes);
    }
    t.same(rooms, [256, 512, 1_024, 2_048, 4_096, 8_192, 16_384, 32_768, 65_536]);
    t.equal(arena.put("next"), 65_536, "a chunk that is full to its last byte is followed by another");
    t.equal(arena.bytes, 2 * 65_536);
    t.equal(arena.get(8, 8), "abcd");
    t.equal(arena.get(65_532, 8), "wxyz");
  },
);

t.test("texts: one that does not fit into the rest of a chunk begins the next", async (t) => {
  const arena = new TextArena();
  t.equal(arena.put("x".repeat(65_528)), 0);
  t.equal(arena.bytes, 65_536, "a first text that is long takes a chunk at once");
  t.equal(arena.put("12345678"), 65_528, "the last 8 bytes");
  t.equal(arena.put("x".repeat(65_532)), 65_536);
  t.equal(arena.put("12345678"), 2 * 65_536, "4 bytes are left");
  t.equal(arena.bytes, 3 * 65_536);
  const middle = new TextArena();
  middle.put("x".repeat(200));
  t.equal(middle.put("y".repeat(400)), 200);
  t.equal(middle.bytes, 600, "as much as is needed where doubling is too little");
});

t.test("texts: one longer than a chunk has its own, and is given back as a whole", async (t) => {
  const arena = new TextArena();
  arena.put("small");
  const before = arena.bytes;
  const large = arena.put("y".repeat(70_000));
  t.equal(large, 65_536);
  t.equal(arena.bytes, before + 70_000);
  t.equal(arena.put("next"), 2 * 65_536, "nothing is put behind it");
  arena.free(large, 140_000);
  t.equal(arena.bytes, before + 65_536);
  const just = arena.put("z".repeat(65_536));
  t.equal(just, 3 * 65_536);
  arena.free(just, 2 * 65_536);
  t.equal(arena.put("w".repeat(65_536)), just, "one that fills a chunk leaves a hole for the next of its length");
  t.equal(arena.put("again"), 4 * 65_536, "what is new comes behind everything");
});

t.test("texts: holes are filled the latest first, each by a text of its length", async (t) => {
  const arena = new TextArena();
  const places = ["aaaa", "bbbb", "cc", "", "eight888"].map((text) => arena.put(text));
  t.same(places, [0, 4, 8, 12, 16]);
  arena.free(0, 8);
  arena.free(8, 4);
  arena.free(16, 16);
  t.same([arena.put("dd"), arena.put("d"), arena.put("new!"), arena.put("ж1ж2")], [8, 0, 24, 16]);
  t.same([arena.get(8, 4), arena.get(0, 2), arena.get(24, 8), arena.get(16, 9)], ["dd", "d", "new!", "ж1ж2"]);
});

t.test("texts: what was freed while all had to stay leaves its room later, each by its own length", async (t) => {
  const arena = new TextArena();
  const texts = ["four", "eight888", "жжжж", "twelve......", ""];
  const held = texts.map((text) => ({ text, place: arena.put(text), form: arena.form }));
  arena.keep(true);
  for (const { place, form } of held) arena.free(place, form);
  t.same(
    held.map(({ place, form }) => arena.get(place, form)),
    texts,
  );
  const { bytes } = arena;
  arena.keep(false);
  const spaces = [...held].reverse().map(({ text }) => text.replaceAll("ж", "xx"));
  t.same(
    spaces.map((text) => arena.put(text)).sort((a, b) => a - b),
    held.map(({ place }) => place).sort((a, b) => a - b),
  );
  t.equal(arena.bytes, bytes);
});

t.test("texts: emptied, the first chunk serves again, whatever lay in it", async (t) => {
  const arena = new TextArena();
  for (const text of ["first", "second", "x".repeat(70_000)]) arena.put(text);
  arena.keep(true);
  arena.free(0, 10);
  arena.clear();
  t.equal(arena.bytes, 256, "chunks beyond the first are given back");
  t.same([arena.put("abcd"), arena.put("efgh"), arena.put("ijkl")], [0, 4, 8], "no hole is remembered");
  arena.keep(false);
  t.equal(arena.put("mnop"), 12, "nor what was freed while texts had to stay");
  t.equal(arena.get(0, 8), "abcd");
  arena.clear();
  arena.put("y".repeat(300));
  t.equal(arena.get(0, 600), "y".repeat(300), "more than the first chunk had room for");
});

t.test("texts: what two have in common, and six bytes of one as a number", async (t) => {
  const arena = new TextArena();
  const put = (text: string): [place: number, form: number] => [arena.put(text), arena.form];
  const common = (a: string, b: string, most = 99): number => arena.common(...put(a), ...put(b), most);
  t.same([common("abc", "abd"), common("abc", "abc"), common("abc", "ab"), common("ab", "abc")], [2, 3, 2, 2]);
  t.same([common("abc", "abc", 1), common("", "a"), common("x", "a"), common("abc", "abc", 0)], [1, 0, 0, 0]);
  arena.put("behind");
  const prefix = (text: string, from = 0): number => arena.prefix(...put(text), from);
  t.equal(prefix("\u0001\u0002\u0003\u0004\u0005\u0006\u0007"), 0x010203040506);
  t.equal(prefix("a"), 0x61 * 256 ** 5);
  t.equal(prefix("abcdefgh", 6), 0x67 * 256 ** 5 + 0x68 * 256 ** 4);
  t.equal(prefix("abc", 3), 0);
  t.equal(prefix("\u00ff".repeat(6)), 256 ** 6 - 1);
});

t.test("texts: those of two arenas are compared by all their bytes", async (t) => {
  const [one, other] = [new TextArena(), new TextArena()];
  other.put("shifts it");
  for (const text of ["", "a", "same", "ж", "жж", "ends in ж"]) {
    const place = one.put(text);
    const { form } = one;
    t.ok(one.equalsOther(place, form, other, other.put(text)), text);
    if (text === "") continue;
    const last = text.charCodeAt(text.length - 1);
    const changed = `${text.slice(0, -1)}${String.fromCharCode(last ^ 1)}`;
    t.notOk(one.equalsOther(place, form, other, other.put(changed)), `${text} is not ${changed}`);
    t.notOk(one.equals(place, form, changed));
    t.notOk(one.equals(place, form, text.slice(1)));
    t.ok(one.equals(place, form, text));
    if ((form & 1) === 1) t.notOk(one.equals(place, form, `${text.slice(0, -1)}${String.fromCharCode(last ^ 256)}`));
  }
});
