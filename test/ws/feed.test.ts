import t from "tap";
import { Entry, fanOut, type Subscriber } from "../../src/ws/feed.js";

function subscriber(last: number, room = Number.POSITIVE_INFINITY): Subscriber & { readonly got: string[] } {
  const got: string[] = [];
  return {
    got,
    last,
    isActive: () => true,
    subscribed: () => {},
    unavailable: () => {},
    send: (frame) => got.length < room && got.push(frame.toString()) > 0,
    cork: (work) => work(),
    hasRoom: () => true,
    room: async () => true,
    replaced: () => {},
  };
}

t.test("each gets what is new to him, chained to what he had", async (t) => {
  const entries = [new Entry("x", 3, '{"n":3}'), new Entry("x", 5, '{"n":5}')];
  const frame = (offset: number, prev: number) =>
    `{"op":"event","channel":"x","offset":${offset},"prev":${prev},"data":{"n":${offset}}}`;
  const table: { last: number; room?: number; got: string[]; after: number }[] = [
    { last: 0, got: [frame(3, 0), frame(5, 3)], after: 5 },
    { last: 2, got: [frame(3, 2), frame(5, 3)], after: 5 },
    { last: 3, got: [frame(5, 3)], after: 5 },
    { last: 4, got: [frame(5, 4)], after: 5 },
    { last: 5, got: [], after: 5 },
    { last: 9, got: [], after: 9 },
    { last: 2, room: 1, got: [frame(3, 2)], after: 3 },
    { last: 0, got: [frame(3, 0), frame(5, 3)], after: 5 },
  ];
  const all = table.map(({ last, room }) => subscriber(last, room));
  const sent = fanOut(entries, all);
  for (const [i, { last, got, after }] of table.entries()) {
    t.same(all[i]?.got, got, `after ${last}`);
    t.equal(all[i]?.last, after, `after ${last}: position`);
  }
  const frames = table.flatMap(({ got }) => got);
  t.same(sent, { frames: frames.length, bytes: frames.join("").length });
});

t.test("equal frames are made once", async (t) => {
  const entry = new Entry("x", 3, "{}");
  t.equal(entry.frame(2), entry.frame(2));
});
