import { type ChannelDeclaration, MillraceError } from "../../core/index.js";

/** A declaration's name and subject, taken apart once. */
export interface ChannelShape {
  /** The leading words: `features`. Also the label of its counters. */
  readonly base: string;
  /** The tokens of `name` (without those left out) as a subject pattern; undefined when it is not one of this declaration's names. */
  subjectOf(name: string): string | undefined;
  /** Every name under which a record of this subject is shown. */
  namesOf(subject: string): readonly string[];
  /** The pattern of everything shown. */
  readonly pattern: string;
  /** Its names as patterns of channel rules: `alerts`, `alerts.*`. */
  readonly patterns: readonly string[];
}

const TOKEN = /^[A-Za-z0-9_%-]+$/;
const NAME = /^([a-z][a-z0-9-]*(?:\.[a-z][a-z0-9-]*)*)((?:\.<\w+>)*)((?:\[\.<\w+>\])*)$/;
/** Marks of tasks and stages, which are no records: `<stream>._at.…`, `<stream>.<partition>._mark.…`. */
const HOUSEKEEPING = /^[^.]+\.(?:_at\.|\d+\._(?:mark|tick|ctl)(?:\.|$))/;

/** Subjects whose names are remembered: some 200 KB for each declaration at most. */
const MAX_KNOWN = 1_024;

/** Errors: MR_OPTION_INVALID when the name or its parameters are not as core/channels.ts says. */
export function channelShape(declaration: ChannelDeclaration): ChannelShape {
  const [, base = "", needed = "", optional = ""] = NAME.exec(declaration.name) ?? [];
  if (base === "") throw invalid(declaration.name, "a name is words, then parameters: features.<pipeline>[.<key>]");
  const required = parameters(needed);
  const all = [...required, ...parameters(optional)];
  if (declaration.kind === "polled" && all.length > 0)
    throw invalid(declaration.name, "a polled channel has no parameters");
  const template = declaration.kind === "polled" ? [] : declaration.subject.split(".");
  const places = all.map((parameter) => template.indexOf(`<${parameter}>`));
  if (declaration.kind !== "polled" && places.some((place) => place < 0))
    throw invalid(declaration.name, `each parameter must be a token of the subject ${declaration.subject}`);
  const fill = (values: readonly string[]) =>
    template
      .map((token) => (token.startsWith("<") ? (values[all.indexOf(token.slice(1, -1))] ?? "*") : token))
      .join(".");
  // Most records come under a subject seen before.
  const known = new Map<string, readonly string[]>();
  return {
    base,
    pattern: fill([]),
    patterns: Array.from(
      { length: all.length - required.length + 1 },
      (_, i) => base + ".*".repeat(required.length + i),
    ),
    subjectOf(name) {
      if (name !== base && !name.startsWith(`${base}.`)) return undefined;
      const values = name === base ? [] : name.slice(base.length + 1).split(".");
      if (values.length < required.length || values.length > all.length) return undefined;
      return values.every((value) => TOKEN.test(value)) ? fill(values) : undefined;
    },
    namesOf(subject) {
      let names = known.get(subject);
      if (names) return names;
      names = namesOf(subject);
      if (known.size >= MAX_KNOWN) known.clear();
      known.set(subject, names);
      return names;
    },
  };

  function namesOf(subject: string): readonly string[] {
    if (HOUSEKEEPING.test(subject)) return [];
    const tokens = subject.split(".");
    const names: string[] = [];
    let name = base;
    for (let given = 0; given <= all.length; given++) {
      if (given > 0) name += `.${tokens[places[given - 1] ?? 0]}`;
      if (given >= required.length) names.push(name);
    }
    return names;
  }
}

function parameters(text: string): string[] {
  return [...text.matchAll(/<(\w+)>/g)].map(([, parameter = ""]) => parameter);
}

function invalid(name: string, why: string): MillraceError {
  return new MillraceError("MR_OPTION_INVALID", `channel ${name}: ${why}`);
}
