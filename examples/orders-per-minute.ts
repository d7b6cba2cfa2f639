import {
  count,
  encodeToken,
  fieldReader,
  jsonSource,
  mean,
  minutes,
  num,
  pipeline,
  seconds,
  str,
  sum,
  tumbling,
} from "./millrace.js";

/** Orders and turnover per shop and minute; what comes up to 30 s late corrects its minute. */
const orders = jsonSource({
  stream: "orders",
  fields: fieldReader({ shop: str, amount: num, at: num }),
  time: ({ at }) => at,
  timing: { disorderMs: seconds(5) },
});

export const ordersPerMinute = pipeline("orders.per-minute", { summary: "orders and turnover per shop and minute" })
  .from(orders)
  .keyBy(({ shop }) => shop, { local: true })
  .window("minutes", tumbling({ sizeMs: minutes(1), latenessMs: seconds(30) }))
  .aggregate({ orders: count(), turnover: sum("amount"), average: mean("amount") })
  .to({
    stream: "turnover",
    write: (row) => ({
      stream: "turnover",
      subject: `turnover.${encodeToken(row.key)}`,
      record: { ...row, kind: "row", result: row.kind },
    }),
  });
