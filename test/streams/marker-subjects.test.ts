import fc from "fast-check";
import t from "tap";
import {
  bareSubject,
  carriedSubject,
  everyMarker,
  formerSubject,
  isCarried,
  taskOf,
  writtenBy,
} from "../../src/streams/marker-subjects.js";
import { matches } from "../sim/world/broker.js";

const name = fc.stringMatching(/^[a-z][a-z.-]{0,8}$/);
const task = fc.oneof(
  name,
  fc.tuple(name, fc.nat(63)).map(([pipeline, partition]) => `${pipeline}/${partition}`),
);

t.test("one pattern fits the markers of a task, bare and carried, and no other's", async (t) => {
  fc.assert(
    fc.property(task, task, fc.nat(63), (ours, other, partition) => {
      const own = writtenBy("out", ours);
      for (const subject of [bareSubject("out", ours), carriedSubject(`out.${partition}.row`, ours)]) {
        t.ok(matches(own, subject));
        t.equal(matches(writtenBy("out", other), subject), ours === other);
        t.equal(taskOf(subject), ours);
        t.ok(everyMarker("out").some((pattern) => matches(pattern, subject)));
      }
      t.equal(taskOf(formerSubject("out", ours)), ours);
      t.notOk(matches(own, formerSubject("out", ours)), "those of before are asked for by themselves");
      t.ok(everyMarker("out").some((pattern) => matches(pattern, formerSubject("out", ours))));
    }),
  );
});

t.test("a pack that carries a marker stays in its partition and is known by its subject", async (t) => {
  const carried = carriedSubject("accepted.3.github", "parallel-org.activity/3");
  t.ok(matches("accepted.3.>", carried));
  t.ok(isCarried(carried, "accepted.".length));
  for (const subject of ["accepted.3.github", "accepted.3", "accepted.3.x._by.y", "accepted.3._byte.x"])
    t.notOk(isCarried(subject, "accepted.".length), subject);
});
