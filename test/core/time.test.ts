import t from "tap";
import { formatTime, parseTimeMs } from "../../src/core/index.js";

t.test("parseTimeMs: integers and RFC 3339 with a zone, nothing else", async (t) => {
  const table: readonly (readonly [unknown, number | undefined])[] = [
    [0, 0],
    [1_700_000_000_123, 1_700_000_000_123],
    [1.5, undefined],
    [Number.NaN, undefined],
    ["2022-11-07T08:00:00Z", 1_667_808_000_000],
    ["2022-11-07T05:00:00-03:00", 1_667_808_000_000],
    ["2022-11-07T08:00:00.250Z", 1_667_808_000_250],
    ["2022-11-07T08:00:00", undefined],
    ["2022-13-07T08:00:00Z", undefined],
    ["yesterday", undefined],
    [null, undefined],
    [[], undefined],
  ];
  for (const [value, ms] of table) t.equal(parseTimeMs(value), ms, String(value));
});

t.test("formatTime and parseTimeMs are inverse", async (t) => {
  for (const ms of [0, -1, 1_667_808_000_250]) t.equal(parseTimeMs(formatTime(ms)), ms);
});
