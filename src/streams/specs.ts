import type { StreamSpec } from "../core/index.js";

/** Shares of the space the streams may take together, in percent. Inputs and their accepted copies are the bulk. */
const SHARES = {
  github: 20,
  telemetry: 25,
  accepted: 25,
  features: 8,
  alerts: 3,
  plans: 2,
  dead: 7,
  late: 4,
  commands: 1,
  audit: 2,
  notify: 1,
  desk: 1,
  alarms: 1,
} as const;

export type StreamName = keyof typeof SHARES;

const BUDGET_BYTES = 8 * 1024 ** 3;

/**
 * Every stream of Millrace. The two input streams take single events on `in.<stream>.…` and file them under
 * `<stream>.<partition>.…` themselves; ticks, control messages and packs name their partition and go there directly, which is why
 * the transform's source is `in.…` alone.
 *
 * `commands` holds what people ask for, one subject a command (`commands.<id>`, core's `OperatorCommand`); `audit` who did what;
 * `notify` what is to be said to whom, and how that went (core's `Notice`). `desk` is what the alarm desk reads: the log copies alerts,
 * commands and the ends of notices into it, so that they have one order; `alarms` what it says (core's `Alarm`).
 *
 * `budgetBytes` is what all of them may take together (default 8 GiB); a full stream refuses, it never drops. Only `audit` forgets its
 * oldest: whoever fills it must not be able to blind us.
 */
export function streamSpecs(partitions: number, budgetBytes = BUDGET_BYTES): readonly StreamSpec[] {
  const spec = (name: StreamName, rest: Pick<StreamSpec, "subjects" | "transform" | "sources">): StreamSpec => ({
    name,
    ...rest,
    maxBytes: Math.floor((budgetBytes * SHARES[name]) / 100),
  });
  const input = (name: "github" | "telemetry", direct: readonly string[]): StreamSpec =>
    spec(name, {
      subjects: [`in.${name}.*.*.*`, ...direct, `${name}.*._tick.*`, `${name}.*._ctl.>`],
      transform: {
        src: `in.${name}.*.*.*`,
        dest: `${name}.{{partition(${partitions},1,2)}}.{{wildcard(1)}}.{{wildcard(2)}}.{{wildcard(3)}}`,
      },
    });
  const byPartition = <T>(make: (partition: number) => T): T[] => Array.from({ length: partitions }, (_, p) => make(p));
  const output = (name: StreamName): StreamSpec => spec(name, { subjects: [`${name}.>`] });
  const desk = spec("desk", {
    subjects: ["desk.*._tick.*", "desk.*._ctl.>"],
    sources: [
      {
        stream: "alerts",
        subjects: byPartition((p) => ({ src: `alerts.${p}.*`, dest: "desk.0.alert.{{wildcard(1)}}" })),
      },
      { stream: "commands", subjects: [{ src: "commands.*", dest: "desk.0.command.{{wildcard(1)}}" }] },
      { stream: "notify", subjects: [{ src: "notify.*.outcome", dest: "desk.0.outcome.{{wildcard(1)}}" }] },
    ],
  });
  return [
    input("github", []),
    input("telemetry", ["telemetry.*.pack"]),
    ...(["accepted", "features", "alerts", "plans", "dead", "late", "commands", "notify", "alarms"] as const).map(
      output,
    ),
    desk,
    { ...output("audit"), dropsOldest: true },
  ];
}
