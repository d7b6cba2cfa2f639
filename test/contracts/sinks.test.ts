import t from "tap";
import type { Sink } from "../../src/core/index.js";
import { type ClickhouseOptions, connectClickhouse, createQueryRunner, sinks } from "../../src/sinks/index.js";
import { type Front, startFront, type Teardown, temporaryDirectory } from "../sinks/clickhouse/support.js";

/** One way to run a sink. */
interface Form {
  create(): Sink;
  /** `_seq` of every row of the table, by a way that is not the sink's own. Called while no sink is open. */
  sequences(): Promise<readonly number[]>;
  /** Set when the other side is a process that can fail by itself. */
  readonly front?: Front;
}

/** Every sink of the door, in each of its forms; one without an entry fails the first test. */
const forms: Record<keyof typeof sinks, Record<string, (t: Teardown) => Promise<Form>>> = {
  clickhouse: {
    embedded: async (t) => clickhouseForm({ path: await temporaryDirectory(t) }),
    server: async (t) => {
      const front = await startFront(t, await temporaryDirectory(t), "mill:s3cret/%");
      const url = front.url.replace("http://", "http://mill:s3cret%2F%25@");
      return { ...clickhouseForm({ url, timeoutMs: 5_000 }), front };
    },
  },
};

function clickhouseForm(options: ClickhouseOptions): Form {
  return {
    create: () => sinks.clickhouse.create(options),
    async sequences() {
      const connection = await connectClickhouse(options);
      const { rows } = await createQueryRunner(connection)(`SELECT _seq FROM ${TABLE} ORDER BY _seq`);
      await connection.close();
      return rows.map(([sequence]) => Number(sequence));
    },
  };
}

const TABLE = "readings";
const INCARNATION = "c0ffee";
const row = (sequence: number, more: object = {}) => ({
  event_id: `e${sequence}`,
  site: "s",
  equipment: "q",
  group: "g",
  ts: 1_700_000_000_000,
  values: { x: sequence },
  labels: {},
  source: "live",
  door: "http",
  _part: 0,
  _seq: sequence,
  _index: 0,
  _id: `${INCARNATION}/p/0/${sequence}/0`,
  _incarnation: INCARNATION,
  ...more,
});
const unavailable = { code: "MR_SINK_UNAVAILABLE" };

t.test("every sink of the door has forms here and says what it is", async (t) => {
  t.same(Object.keys(forms).sort(), Object.keys(sinks).sort());
  for (const { summary } of Object.values(sinks)) t.match(summary, /^.{10,100}$/);
});

for (const [type, ways] of Object.entries(forms)) {
  for (const [way, make] of Object.entries(ways)) {
    t.test(`${type}, ${way}: blocks are stored once and positions survive a restart`, async (t) => {
      const form = await make(t);
      let sink = form.create();
      await t.rejects(sink.write(TABLE, [row(1)], "a"), unavailable, "not open yet");
      await sink.close();

      await sink.open();
      await sink.open();
      t.equal(await sink.position(TABLE, INCARNATION), 0, "nothing stored");
      await sink.write(TABLE, [row(1), row(2)], "t/1-2");
      await sink.write(TABLE, [row(1), row(2)], "t/1-2");
      await sink.write(TABLE, [], "t/3-3");
      await sink.write(TABLE, [row(7)], "t/7-7");
      t.equal(await sink.position(TABLE, INCARNATION), 7, "the largest sequence");
      t.equal(await sink.position(TABLE, "another log"), 0, "of this log");
      await sink.close();
      await sink.close();
      await t.rejects(sink.write(TABLE, [row(8)], "t/8-8"), unavailable, "closed");

      sink = form.create();
      await sink.open();
      t.equal(await sink.position(TABLE, INCARNATION), 7, "after a restart");
      await sink.write(TABLE, [row(7)], "t/7-7");
      await sink.write(TABLE, [row(8)], "t/8-8");
      await sink.close();
      t.same(await form.sequences(), [1, 2, 7, 8], "each once, also over the restart");
    });

    t.test(`${type}, ${way}: a block with a bad row is refused whole`, async (t) => {
      const form = await make(t);
      const sink = form.create();
      await sink.open();
      const rows = [row(1), row(2, { values: { x: "much" } }), row(3)];
      await t.rejects(sink.write(TABLE, rows, "t/1-3"), { code: "MR_EVENT_MALFORMED" }, "text for a number");
      await t.rejects(sink.write(TABLE, [row(1, { site: undefined })], "t"), { code: "MR_EVENT_MALFORMED" }, "missing");
      await t.rejects(
        sink.write(TABLE, [row(1, { site: "\ud800" })], "t"),
        { code: "MR_EVENT_MALFORMED" },
        "surrogate",
      );
      await sink.write(TABLE, [row(1), row(3)], "t/1-3");
      await sink.close();
      t.same(await form.sequences(), [1, 3], "the same token, without it");
    });

    t.test(`${type}, ${way}: blocks of several tables at once`, async (t) => {
      const form = await make(t);
      const sink = form.create();
      await sink.open();
      const blocks = Array.from({ length: 12 }, (_, i) => i + 1);
      await Promise.all(blocks.map((i) => sink.write(TABLE, [row(i)], `t/${i}`)));
      await sink.close();
      t.same(await form.sequences(), blocks, "no token leaks into a neighbour's insert");
    });

    t.test(`${type}, ${way}: the other side fails and comes back`, async (t) => {
      const form = await make(t);
      const { front } = form;
      if (!front) return t.pass("it has no other side: nothing to reconnect to");
      const sink = form.create();
      await sink.open();
      await front.failInserts(1, "refuse");
      await t.rejects(sink.write(TABLE, [row(1)], "t/1-1"), unavailable, "refused");
      await sink.write(TABLE, [row(1)], "t/1-1");
      await front.failInserts(1, "drop");
      await t.rejects(sink.write(TABLE, [row(2)], "t/2-2"), unavailable, "stored, answer lost");
      await sink.write(TABLE, [row(2)], "t/2-2");

      await front.kill();
      await t.rejects(sink.write(TABLE, [row(3)], "t/3-3"), unavailable, "gone");
      await t.rejects(form.create().open(), unavailable, "cannot open meanwhile");
      await front.start();
      await sink.write(TABLE, [row(3)], "t/3-3");
      t.equal(await sink.position(TABLE, INCARNATION), 3);
      await sink.close();
      t.same(await form.sequences(), [1, 2, 3], "each once");
    });
  }
}
