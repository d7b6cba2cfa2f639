import { writeFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { enabledRules, readRuleFiles, rulesMessage } from "../../../src/cli/rules/rule-file.js";
import { type Alert, HOUR_MS, MINUTE_MS } from "../../../src/core/index.js";
import { TestKit } from "../../../src/operators/index.js";
import { rules } from "../../../src/pipelines/rules/rules.js";
import { temporaryDir } from "../../support/millrace.js";

const HOT = `
  - { name: hot, when: { feature: engine, value: celsius, above: 95 }, for: 10m, labels: { team: shop } }`;
const SILENT = `
  - { name: silent, when: { feature: engine, absent: 1h }, severity: critical }`;
const SITE = `
  - { name: site-hot, by: site, when: { feature: engine, value: celsius, above: 95 } }`;

async function message(rules: string): Promise<object> {
  const path = join(temporaryDir("rules"), "some.yaml");
  writeFileSync(path, `rules:${rules === "" ? " []" : rules}\n`);
  return rulesMessage(enabledRules(await readRuleFiles(path)));
}

class Play {
  readonly kit = new TestKit(rules);
  constructor(cutAlways: boolean) {
    this.kit.cutAlways = cutAlways;
  }
  record(minute: number, celsius: number, key = "pit/T1", feature = "engine"): this {
    const endMs = minute * MINUTE_MS;
    const about = { kind: "feature", feature, pipeline: "p", domain: "mine", site: "pit", key, labels: {}, scores: {} };
    this.kit.message(JSON.stringify({ id: `${minute}`, ...about, startMs: endMs, endMs, values: { celsius } }));
    return this;
  }
  time(minute: number): this {
    this.kit.mark("mine.telemetry/0", minute * MINUTE_MS);
    return this;
  }
  rules(body: object): this {
    this.kit.control("rules", body);
    return this;
  }
  said(): readonly Alert[] {
    return this.kit.take().map(({ stream, record }) => {
      if (stream !== "alerts") throw new Error(`${stream}: ${JSON.stringify(record)}`);
      return record as Alert;
    });
  }
  shown(): readonly string[] {
    return this.said().map(({ rule, key, state, revision, ts }) => {
      return `${Date.parse(ts) / MINUTE_MS} ${rule} ${key} ${state} ${revision}`;
    });
  }
}

for (const cutAlways of [false, true]) {
  t.test(cutAlways ? "cut before every message" : "in one go", async (t) => {
    t.test("without rules nothing is said or kept", async (t) => {
      const play = new Play(cutAlways).record(0, 99).time(60).record(90, 99);
      t.same(play.said(), []);
      t.ok(play.kit.metrics().every(({ keys }) => keys === 0));
      t.equal(
        play
          .rules(await message(""))
          .record(91, 99)
          .said().length,
        0,
      );
    });

    t.test("an alert is whole: contract, numbers, evidence, labels", async (t) => {
      const [firing, resolved, ...more] = new Play(cutAlways)
        .rules(await message(HOT))
        .record(0, 96)
        .record(5, 97.25)
        .time(20)
        .record(25, 90)
        .said();
      t.same(more, []);
      t.match(firing, {
        ...{ schema: "millrace.alert/1", fingerprint: /^[0-9a-f]{16}$/, revision: 1, state: "firing", rule: "hot" },
        ...{
          pipeline: "rules",
          severity: "warning",
          domain: "mine",
          key: "pit/T1",
          labels: { team: "shop" },
          value: 97.25,
        },
        title: "pit/T1: celsius is 97.25, above 95 for 10 min",
        ...{ ts: "1970-01-01T00:10:00.000Z", expected: { low: 95, high: 95 } },
        window: { start: "1970-01-01T00:00:00.000Z", end: "1970-01-01T00:10:00.000Z" },
      });
      t.same(
        firing?.evidence.map(({ stream, sequence, index }) => [stream, sequence, index]),
        [
          ["features", 2, 0],
          ["features", 3, 0],
        ],
      );
      t.match(resolved, {
        state: "resolved",
        revision: 2,
        fingerprint: firing?.fingerprint,
        ts: "1970-01-01T00:25:00.000Z",
      });
    });

    t.test("the spacing of marks shows in nothing", async (t) => {
      const set = await message(HOT + SILENT + SITE);
      const often = new Play(cutAlways).rules(set);
      const seldom = new Play(cutAlways).rules(set);
      for (let minute = 0; minute <= 600; minute += 3) {
        const hot = minute % 90 < 40 ? 99 : 80;
        const gone = minute > 200 && minute < 330;
        for (const play of [often, seldom]) if (!gone) play.record(minute, hot, "pit/T1");
        often.time(minute);
        if (minute % 60 === 0) seldom.time(minute);
      }
      const byPlace = (lines: readonly string[]): readonly string[] => [...lines].sort();
      const lines = often.time(2_000).shown();
      t.same(byPlace(seldom.time(2_000).shown()), byPlace(lines));
      t.ok(lines.length > 20, `${lines.length} alerts`);
    });

    t.test("a change of the set: what did not change goes on, what is gone is over with the next record", async (t) => {
      const play = new Play(cutAlways).rules(await message(HOT + SILENT));
      play.record(0, 99).record(8, 99);
      play.rules(await message(`${HOT}${SITE}`)).record(9, 80, "pit/T2");
      t.same(play.time(10).shown(), ["10 hot pit/T1 firing 1"], "ten minutes that began before the change");
      t.same(play.time(100).shown(), [], "the absence rule is gone");
      play.rules(await message(HOT.replace("above: 95", "above: 100")));
      t.same(play.record(101, 99).shown(), ["101 hot pit/T1 resolved 2"], "changed: another rule of the same name");
      play.record(102, 101).time(115);
      t.same(play.shown(), ["112 hot pit/T1 firing 3"], "its fingerprint goes on");
      play.rules(await message("")).record(116, 101);
      t.same(play.shown(), [], "without any rules nobody looks");
      t.same(play.time(112 + 24 * 60).shown(), [`${112 + 24 * 60} hot pit/T1 resolved 4`], "quiet for a day: over");
    });

    t.test("sites as a whole; a rule whose message is broken changes nothing", async (t) => {
      const play = new Play(cutAlways)
        .rules(await message(SITE))
        .record(0, 99, "pit/T1")
        .record(1, 99, "pit/T2");
      t.same(play.shown(), ["0 site-hot pit firing 1"]);
      play.rules({ schema: "millrace.rules/9", rules: [] });
      t.match(play.kit.dead(), [{ reason: /must be millrace\.rules\/1 .* got millrace\.rules\/9/ }]);
      play.kit.take();
      t.same(play.record(2, 80, "pit/T2").shown(), ["2 site-hot pit resolved 2"]);
    });
  });
}

t.test("time comes from every task of mine.telemetry, and from nobody else", async (t) => {
  const play = new Play(false).rules(await message(SILENT)).record(0, 1);
  play.kit.mark("somebody.else/0", 10 * HOUR_MS);
  t.same(play.said(), []);
  t.same(play.time(600).shown(), ["60 silent pit/T1 firing 1"]);
});
