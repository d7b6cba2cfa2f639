import { fieldReader, hours, jsonSource, num, pipeline, str } from "./millrace.js";

/** A state window: open while a machine is hot, from the first hot reading to the first cool one, or to a silence of an hour. */
const temperatures = jsonSource({
  stream: "temperatures",
  fields: fieldReader({ machine: str, celsius: num, at: num }),
  time: ({ at }) => at,
});

interface Spell {
  readonly sinceMs: number;
  readonly lastMs: number;
  readonly highest: number;
}

export const hotSpells = pipeline("machines.hot-spells", { summary: "how long machines ran hot, and how hot" })
  .from(temperatures)
  .keyBy(({ machine }) => machine, { local: true })
  .process<Spell | null, Spell>("spells", {
    ttlMs: hours(2),
    init: () => null,
    onEvent(spell, { celsius }, at) {
      if (spell !== null) at.cancelTimer(spell.lastMs + hours(1));
      if (celsius > 90) {
        at.setTimer(at.timeMs + hours(1));
        const highest = Math.max(celsius, spell?.highest ?? celsius);
        return { sinceMs: spell?.sinceMs ?? at.timeMs, lastMs: at.timeMs, highest };
      }
      if (spell !== null) at.emit({ ...spell, lastMs: at.timeMs });
      return undefined;
    },
    onTimer(spell, _timeMs, at) {
      if (spell !== null) at.emit(spell);
      return undefined;
    },
  })
  .map((spell, { key }) => ({ machine: key, ...spell }))
  .to({
    stream: "spells",
    write: (spell) => ({ stream: "spells", subject: "spells.machines", record: { kind: "row", ...spell } }),
  });
