import t from "tap";
import { formatTraceparent, readTraceparent } from "../../../src/cli/tracing/traceparent.js";

const TRACE = "0af7651916cd43dd8448eb211c80319c";
const SPAN = "b7ad6b7169203331";

t.test("W3C Trace Context, version 00", async (t) => {
  for (const flags of ["00", "01"]) {
    const found = readTraceparent(`00-${TRACE}-${SPAN}-${flags}`);
    t.match(found, { traceId: TRACE, spanId: SPAN, traceFlags: Number(flags), isRemote: true });
    t.equal(found && formatTraceparent(found), `00-${TRACE}-${SPAN}-${flags}`);
  }
  t.match(readTraceparent(`00-${TRACE}-${SPAN}-ff`), { traceFlags: 1 }, "other flags are not passed on");
  const wrong = [
    undefined,
    "",
    "x",
    `01-${TRACE}-${SPAN}-01`,
    `00-${"0".repeat(32)}-${SPAN}-01`,
    `00-${TRACE}-${"0".repeat(16)}-01`,
    `00-${TRACE.toUpperCase()}-${SPAN}-01`,
    `00-${TRACE}-${SPAN}-01-more`,
    `00-${TRACE}-${SPAN}`,
  ];
  for (const text of wrong) t.equal(readTraceparent(text), undefined, text ?? "none");
});
