import {
  argmax,
  count,
  fieldReader,
  first,
  jsonSource,
  last,
  minutes,
  num,
  pipeline,
  session,
  str,
} from "./millrace.js";

/** Visits to a web site: a visitor's clicks without a pause of 30 minutes, with where they came in and went out. */
const clicks = jsonSource({
  stream: "clicks",
  fields: fieldReader({ visitor: str, page: str, at: num, dwellMs: num }),
  time: ({ at }) => at,
});

export const visits = pipeline("web.visits", { summary: "visits with entry, exit and the page looked at longest" })
  .from(clicks)
  .keyBy(({ visitor }) => visitor, { local: true })
  .window("visits", session({ gapMs: minutes(30) }))
  .aggregate({
    pages: count(),
    entry: first((click: { page: string }) => click.page),
    exit: last((click: { page: string }) => click.page),
    favourite: argmax(
      (click: { dwellMs: number; page: string }) => click.dwellMs,
      (click) => click.page,
    ),
  })
  .filter(({ pages }) => pages > 1)
  .to({
    stream: "visits",
    write: ({ key, pages, entry, exit, favourite }) => ({
      stream: "visits",
      subject: "visits.all",
      record: { kind: "row", key, pages, entry, exit, favourite },
    }),
  });
