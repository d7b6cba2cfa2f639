import t from "tap";
import { encodePack, PACK_SCHEMA, type Packed, packSchema, schemaId } from "../../../../src/core/index.js";
import {
  jsonLines,
  packed,
  pipeline,
  source,
  TestKit,
  testTarget,
  type Upcaster,
} from "../../../../src/operators/engine/index.js";

const first = packSchema({ name: "load", version: 1, fields: { truck: "text", kg: "int", ts: "int" } });
const second = packSchema({ name: "load", version: 2, fields: { truck: "text", loadT: "float", ts: "int" } });
const third = packSchema({
  name: "load",
  version: 3,
  fields: { truck: "text", loadT: "float", ts: "int", full: "bool" },
});
type Load = Packed<(typeof third)["fields"]>;

const upcasters: readonly Upcaster[] = [
  {
    from: first,
    up({ truck, kg, ts }) {
      if ((kg as number) < 0) throw new RangeError("a load below nothing");
      return { truck, loadT: (kg as number) / 1_000, ts };
    },
  },
  { from: second, up: (event) => ({ ...event, full: (event["loadT"] as number) >= 200 }) },
];

function loads(plain = false) {
  const topology = pipeline("test.packed");
  const json = jsonLines<Load>((value) => value as Load);
  topology
    .from(
      source<Load>({
        stream: "test",
        decode: packed({ schema: third, upcasters, ...(plain && { plain: json }) }),
        time: ({ ts }) => ts,
      }),
    )
    .to(testTarget());
  return new TestKit(topology);
}

const headers = (id: string) => ({ [PACK_SCHEMA]: id });

t.test("packs of older versions are raised one version at a time", async (t) => {
  const kit = loads();
  kit.message(encodePack(first, [{ truck: "a", kg: 210_000, ts: 1 }]), headers("load/1"));
  kit.message(encodePack(second, [{ truck: "b", loadT: 40, ts: 2 }]), headers("load/2"));
  kit.message(encodePack(third, [{ truck: "c", loadT: 41, ts: 3, full: true }]), headers(schemaId(third)));
  t.same(kit.rows(), [
    { truck: "a", loadT: 210, ts: 1, full: true },
    { truck: "b", loadT: 40, ts: 2, full: false },
    { truck: "c", loadT: 41, ts: 3, full: true },
  ]);
  t.match(kit.counters(), { received: 3, accepted: 3, deadLettered: 0 });
});

t.test("an unknown schema, garbage and a body without schema are dead letters, with reason and bytes", async (t) => {
  const kit = loads();
  const bytes = encodePack(third, [{ truck: "c", loadT: 41, ts: 3, full: true }]);
  kit.message(bytes, headers("load/4"));
  kit.message(bytes.subarray(0, 5), headers("load/3"));
  kit.message('{"truck":"d"}');
  const known = "known: load/3, load/1, load/2";
  t.match(kit.dead(), [
    { reason: `schema load/4 is not known here; ${known}`, bytesBase64: Buffer.from(bytes).toString("base64") },
    { reason: "reading a pack of load/3: it ends too early" },
    { reason: `a pack without schema; ${known}`, bytesTotal: 13 },
  ]);
  t.same(kit.rows(), []);
});

t.test("where the reason is all there is, it is told as it is", async (t) => {
  const kit = loads();
  kit.message(Buffer.of(1, 2, 3), headers("load/3"));
  t.match(kit.dead()[0]?.reason, /^reading a pack of load\/3: /);
  kit.message("{}");
  t.match(kit.dead()[1]?.reason, /^a pack without schema; known: load\/3, load\/1, load\/2$/);
  const alone = packed({ schema: first });
  const said: string[] = [];
  alone(
    { sequence: 1, subject: "s", data: new Uint8Array(0), header: () => "load/9" },
    { event: () => undefined, malformed: (reason) => void said.push(reason) },
  );
  t.same(said, ["schema load/9 is not known here; known: load/1"]);
});

t.test("an event that cannot be raised does not take its neighbours along", async (t) => {
  const kit = loads();
  const events = [1, -1, 2].map((kg, i) => ({ truck: "a", kg, ts: i }));
  kit.message(encodePack(first, events), headers("load/1"));
  t.match(kit.rows(), [{ loadT: 0.001 }, { loadT: 0.002 }]);
  t.match(kit.dead(), [{ reason: "raising load/1 to load/3: RangeError: a load below nothing" }]);
  t.match(kit.counters(), { received: 3, accepted: 2, deadLettered: 1 });
});

t.test("JSON beside packs, where it is asked for", async (t) => {
  const kit = loads(true);
  kit.message('{"truck":"d","loadT":1,"ts":5,"full":false}');
  kit.message(encodePack(second, [{ truck: "b", loadT: 40, ts: 6 }]), headers("load/2"));
  t.match(kit.rows(), [{ truck: "d" }, { truck: "b" }]);
});

t.test("a version that leads nowhere is refused before the first event", async (t) => {
  const other = packSchema({ name: "other", version: 2, fields: { x: "int" } });
  const up = (event: Readonly<Record<string, unknown>>) => event;
  for (const wrong of [[{ from: first, up }], [{ from: other, up }], [{ from: third, up }]])
    t.throws(() => packed({ schema: third, upcasters: wrong }), {
      code: "MR_OPTION_INVALID",
      message:
        /^an upcaster from (load\/1|other\/2|load\/3) does not lead to load\/3: each version needs one to the next$/,
    });
  t.ok(packed({ schema: third, upcasters: [{ from: second, up }] }), "older ones need not be read");
});
