import { fieldReader, hours, jsonSource, num, pipeline, str } from "./millrace.js";

/** Temperatures against limits that change by control message, so every change has a place in the log; says only when the verdict changes. */
const temperatures = jsonSource({
  stream: "temperatures",
  fields: fieldReader({ room: str, celsius: num, at: num }),
  time: ({ at }) => at,
});

export const limits = pipeline("rooms.limits", { summary: "rooms above their limit, and back" });

const limitOf = limits.table<number>("limits", {
  kind: "limit",
  read: (body) => {
    const { room, celsius } = body as { room: string; celsius?: number };
    return { key: room, value: celsius };
  },
});

limits
  .from(temperatures)
  .lookup(
    limitOf,
    ({ room }) => room,
    ({ room, celsius, at }, limit = 30) => ({ room, at, tooHot: celsius > limit }),
  )
  .keyBy(({ room }) => room, { local: true })
  .hadChanged("verdict", { of: ({ tooHot }) => tooHot, ttlMs: hours(24) })
  .to({
    stream: "verdicts",
    write: ({ room, at, tooHot }) => ({
      stream: "verdicts",
      subject: "verdicts.rooms",
      record: { kind: "row", room, at, tooHot },
    }),
  });
