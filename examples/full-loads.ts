import { fieldReader, hours, jsonSource, num, pipeline, str } from "./millrace.js";

/** A global trigger: parcels to one town leave when together they weigh enough, or when the first has waited for a day. */
const parcels = jsonSource({
  stream: "parcels",
  fields: fieldReader({ parcel: str, town: str, kg: num, at: num }),
  time: ({ at }) => at,
});

interface Load {
  readonly parcels: readonly string[];
  readonly kg: number;
  readonly leavesAtMs: number;
}

export const fullLoads = pipeline("post.full-loads", { summary: "loads by weight, none waiting longer than a day" })
  .from(parcels)
  .keyBy(({ town }) => town, { local: true })
  .process<Load, Load>("loads", {
    ttlMs: hours(48),
    init: () => ({ parcels: [], kg: 0, leavesAtMs: 0 }),
    onEvent(load, { parcel, kg }, at) {
      const leavesAtMs = load.parcels.length === 0 ? at.timeMs + hours(24) : load.leavesAtMs;
      const next = { parcels: [...load.parcels, parcel], kg: load.kg + kg, leavesAtMs };
      if (next.kg < 1_000) {
        at.setTimer(leavesAtMs);
        return next;
      }
      at.cancelTimer(leavesAtMs);
      at.emit(next);
      return undefined;
    },
    onTimer(load, _timeMs, at) {
      at.emit(load);
      return undefined;
    },
  })
  .map(({ parcels, kg }, { key }) => ({ town: key, parcels, kg }))
  .to({
    stream: "loads",
    write: (load) => ({ stream: "loads", subject: "loads.post", record: { kind: "row", ...load } }),
  });
