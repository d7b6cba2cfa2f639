import { fieldReader, hours, jsonSource, num, pipeline, str } from "./millrace.js";

/** An order that is not paid within an hour: the absence of an event is an event. */
const shop = jsonSource({
  stream: "shop",
  fields: fieldReader({ order: str, what: str, at: num }),
  time: ({ at }) => at,
});

export const unpaidOrders = pipeline("shop.unpaid-orders", { summary: "orders without a payment within the hour" })
  .from(shop)
  .keyBy(({ order }) => order, { local: true })
  .pattern("unpaid", {
    first: ({ what }) => what === "ordered",
    second: ({ what }) => what === "paid",
    withinMs: hours(1),
    absent: ({ order, at }) => ({ order, orderedAt: at }),
  })
  .to({
    stream: "reminders",
    write: ({ order, orderedAt }) => ({
      stream: "reminders",
      subject: "reminders.unpaid",
      record: { kind: "row", order, orderedAt },
    }),
  });
