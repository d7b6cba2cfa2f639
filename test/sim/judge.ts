import type { Inference, Output, Pipeline } from "../../src/core/index.js";
import type { Border, Pointer } from "../../src/runtime/index.js";
import { programHash } from "../../src/runtime/pointer.js";
import type { Broker, SimMessage, SimStream } from "./world/broker.js";
import type { Database } from "./world/database.js";
import { type SimEvent, simPipelines } from "./world/programs.js";

/** Streams that the sink copies, and their tables. */
export const SUNK = [
  ["features", "features"],
  ["late", "late_events"],
] as const;
/** Where 1, 2 and 3 partitions have a group, as a real server files `<group>.e`. */
const PLACES: Readonly<Record<string, readonly number[]>> = { g0: [0, 1, 1], g1: [0, 0, 2], g2: [0, 1, 0] };
const MARK = '{"kind":"mark"';
const inference: Inference = { run: async () => new Float32Array() };

export interface Evidence {
  readonly broker: Broker;
  readonly database: Database;
  /** Events whose producer was told that they are stored. */
  readonly acknowledged: readonly SimEvent[];
  readonly pointers: ReadonlyMap<string, Pointer>;
  /** Nothing of the log was destroyed: then everything must add up over both stages. */
  readonly isWhole: boolean;
}

/** One line as a task wrote it, or should have. */
interface Line {
  readonly sequence: number;
  readonly index: number;
  readonly text: string;
}

/**
 * Compares what the log holds at the end with what it must hold: each task's outputs are those of a fresh program run over the
 * input once, byte for byte and in order, and what the producers were told adds up. Resolves with what is wrong.
 */
export function judge(evidence: Evidence): readonly string[] {
  const { broker, isWhole } = evidence;
  /** Since a repartition everything has been computed again: what there is now says it all by itself. */
  const isRelaid = broker.stream("input").relaidThrough !== undefined;
  const problems: string[] = [];
  const claimed = new Map<string, number>();
  const all = (name: string): readonly SimStream[] => [
    ...broker.former.filter(({ spec }) => spec.name === name),
    broker.stream(name),
  ];
  const lines = new Map<SimStream, readonly string[]>();
  const linesIn = (streams: readonly SimStream[]) =>
    streams.flatMap((stream) => {
      const found = lines.get(stream) ?? linesOf(stream);
      lines.set(stream, found);
      return found;
    });
  const now = (name: string) => linesIn(isRelaid ? [broker.stream(name)] : all(name));
  for (const [i, { source: name }] of simPipelines(1, 1).entries()) {
    for (const source of all(name)) {
      const { partitions } = source;
      const [pipeline, second] = [simPipelines(1, partitions)[i], simPipelines(2, partitions)[i]] as [
        Pipeline,
        Pipeline,
      ];
      const isFormer = isRelaid && source.isGone;
      for (let partition = 0; partition < partitions; partition++) {
        const task = `${pipeline.name}/${partition}`;
        const said = [pipeline, second].map((version) => expected(version, source, partition, partitions));
        const isSecond = secondsReign(evidence.pointers.get(task), source.incarnation, programHash(second, partitions));
        for (const stream of pipeline.writes) {
          const want = atBorders(said, stream, (line) => isSecond(stream, line));
          const prefix = `{"id":"${source.incarnation}/${pipeline.name}/${partition}/`;
          const marks = isWhole && !isFormer;
          const mark = marks ? `${MARK},"task":"${task}"` : prefix;
          const where = isFormer ? linesIn(broker.former.filter(({ spec }) => spec.name === stream)) : now(stream);
          const have = where.filter((text) => text.startsWith(prefix) || text.startsWith(mark));
          if (!isFormer) claimed.set(stream, (claimed.get(stream) ?? 0) + have.length);
          compare(problems, `${task} in ${stream}`, want, have, { isGone: source.isGone, marks });
        }
      }
    }
  }
  for (const [stream, count] of claimed) {
    const total = now(stream).filter((text) => isWhole || !text.startsWith(MARK)).length;
    if (total !== count) problems.push(`${stream}: ${total - count} lines are nobody's`);
    problems.push(...twice(stream, linesIn(all(stream))));
  }
  if (isWhole) problems.push(...marksGoOn(broker.stream("features")));
  if (isWhole) problems.push(...SUNK.flatMap(([stream, table]) => sunk(evidence, now(stream), stream, table)));
  problems.push(...conserved(evidence, all, now));
  return problems;
}

/** What a fresh program says about the whole input, by output stream. */
function expected(pipeline: Pipeline, source: SimStream, partition: number, partitions: number) {
  const program = pipeline.create({ task: `${pipeline.name}/${partition}`, partition, partitions, inference });
  const lines = new Map<string, Line[]>();
  for (const message of source.archive.slice(source.born)) {
    if (!isOf(partition, source, message)) continue;
    let index = 0;
    const subject = message.subject.replace(/\.\d+\./, `.${partition}.`);
    program.apply({ ...message, subject }, undefined, ({ stream, record }: Output) => {
      const id = `${source.incarnation}/${pipeline.name}/${partition}/${message.sequence}/${++index}`;
      const json = JSON.stringify(record);
      const isMark = "kind" in record && record.kind === "mark";
      const line = { sequence: message.sequence, index, text: isMark ? json : `{"id":"${id}",${json.slice(1)}` };
      const before = lines.get(stream);
      if (before === undefined) lines.set(stream, [line]);
      else before.push(line);
    });
  }
  return lines;
}

/** Where a message belongs: what is older than the latest repartition by its group, and of the control messages one copy everywhere. */
function isOf(
  partition: number,
  { relaidThrough = 0, partitions }: SimStream,
  { sequence, subject }: SimMessage,
): boolean {
  const [, place, group = ""] = subject.split(".");
  if (place === "_at") return false;
  if (sequence > relaidThrough) return place === String(partition);
  return group.startsWith("_") ? place === "0" : PLACES[group]?.[partitions - 1] === partition;
}

/** Whether a line is the second program's, by the borders the task has recorded. Of a log that is gone nobody knows: undefined. */
function secondsReign(pointer: Pointer | undefined, incarnation: string, second: string) {
  const borders =
    pointer?.incarnation === incarnation ? pointer.borders.filter((each) => each.incarnation === incarnation) : [];
  return (stream: string, { sequence, index }: Line): boolean | undefined => {
    if (pointer?.incarnation !== incarnation) return undefined;
    const isBehind = ({ at }: Border): boolean => {
      const marker = at[stream] ?? { sequence: 0, index: 0 };
      return sequence > marker.sequence || (sequence === marker.sequence && index > marker.index);
    };
    const last = borders.findLast(isBehind);
    if (last !== undefined) return last.program === second;
    // Before the first border the other program reigned; without any, the one there is.
    return borders[0] === undefined ? pointer.program === second : borders[0].program !== second;
  };
}

/** Of each line the text of the program that reigned there; both where nobody knows. */
function atBorders(
  versions: readonly Map<string, Line[]>[],
  stream: string,
  isSecond: (line: Line) => boolean | undefined,
): readonly (readonly string[])[] {
  const [first, second] = versions.map((lines) => lines.get(stream) ?? []);
  return (first ?? []).map((line, i) => {
    const other = second?.[i] as Line;
    const which = isSecond(line);
    return which === undefined ? [line.text, other.text] : [which ? other.text : line.text];
  });
}

function linesOf(stream: SimStream): readonly string[] {
  const lines: string[] = [];
  for (const { data, subject } of stream.archive.slice(stream.born)) {
    if (subject.includes("._at.") || subject.includes("._ctl.")) continue;
    const text = Buffer.from(data).toString();
    if (text.includes("\n")) lines.push(...text.split("\n"));
    else lines.push(text);
  }
  return lines;
}

function compare(
  problems: string[],
  where: string,
  want: readonly (readonly string[])[],
  have: readonly string[],
  { isGone, marks }: { readonly isGone: boolean; readonly marks: boolean },
): void {
  // Of a stream that was deleted the tasks may not have seen the end, and its marks cannot be told from those after it.
  const wanted = want.filter(([text]) => marks || !text?.startsWith(MARK));
  const lastMark = wanted.findLast(([text]) => text?.startsWith(MARK))?.[0];
  let at = 0;
  for (const [i, text] of have.entries()) {
    // Of marks in one batch only the last is stored: what is left out says less than one that follows.
    while (!wanted[at]?.includes(text) && wanted[at]?.[0]?.startsWith(MARK) && wanted[at]?.[0] !== lastMark) at++;
    if (wanted[at]?.includes(text)) {
      at++;
      continue;
    }
    problems.push(`${where}, line ${i}: stored ${text}, expected ${wanted[at]?.[0] ?? "nothing"}`);
    return;
  }
  if (!isGone && at < wanted.length) problems.push(`${where}: ${wanted.length - at} lines missing: ${wanted[at]?.[0]}`);
}

function twice(stream: string, lines: readonly string[]): readonly string[] {
  const seen = new Set<string>();
  const problems: string[] = [];
  for (const text of lines) {
    if (!text.startsWith('{"id":"')) continue;
    const id = text.slice(7, text.indexOf('"', 7));
    if (seen.has(id)) problems.push(`${stream} holds ${id} twice`);
    seen.add(id);
  }
  return problems;
}

/** The table has each line of the stream once. */
function sunk(
  { database, broker }: Evidence,
  lines: readonly string[],
  stream: string,
  table: string,
): readonly string[] {
  const want = lines.flatMap((text) => (text.startsWith('{"id":"') ? [text.slice(7, text.indexOf('"', 7))] : []));
  const { incarnation, former = [] } = broker.info(stream);
  const have = [incarnation, ...former].flatMap((each) => database.rows(table, each)).map(({ _id }) => _id);
  const distinct = new Set(have);
  const missing = want.filter((id) => !distinct.has(id));
  const problems = missing.length > 0 ? [`table ${table} lacks ${missing.length} rows, ${missing[0]} first`] : [];
  if (have.length > distinct.size) problems.push(`table ${table} has ${have.length - distinct.size} rows twice`);
  if (distinct.size > want.length) problems.push(`table ${table} has ${distinct.size - want.length} rows too many`);
  return problems;
}

function marksGoOn(stream: SimStream): readonly string[] {
  const problems: string[] = [];
  const reached = new Map<string, number>();
  for (const { subject, data } of stream.archive.slice(stream.born)) {
    if (!subject.includes("._mark.")) continue;
    const { task, watermarkMs } = JSON.parse(Buffer.from(data).toString()) as { task: string; watermarkMs: number };
    if (watermarkMs <= (reached.get(subject) ?? 0))
      problems.push(`the watermark of ${task} went back to ${watermarkMs}`);
    reached.set(subject, watermarkMs);
  }
  return problems;
}

interface Row {
  readonly pipeline?: string;
  readonly values?: { readonly count: number };
  readonly events?: number;
}

/** Counts without the engine: every event that was acknowledged is in the log, and each in exactly one window or late. */
function conserved(
  evidence: Evidence,
  all: (name: string) => readonly SimStream[],
  now: (name: string) => readonly string[],
): readonly string[] {
  const problems: string[] = [];
  const logged = new Set(all("input").flatMap(eventsOf));
  const lost = evidence.acknowledged.filter(({ id }) => !logged.has(id));
  if (lost.length > 0) problems.push(`${lost.length} acknowledged events are not in the log, ${lost[0]?.id} first`);
  if (!evidence.isWhole) return problems;
  const rows = (name: string) =>
    now(name)
      .filter((text) => text.startsWith('{"id"'))
      .map((text) => JSON.parse(text) as Row);
  const sum = (name: string, of: (row: Row) => number) => rows(name).reduce((total, row) => total + of(row), 0);
  const late = rows("late").filter((row) => row.pipeline === "sim.counts").length;
  const check = (what: string, found: number) => {
    if (found !== logged.size) problems.push(`${what}: ${found}, but ${logged.size} events were logged`);
  };
  check("events in windows and late", sum("features", ({ values }) => values?.count ?? 0) + late);
  check("events in the totals and late", sum("final", ({ events = 0 }) => events) + late);
  return problems;
}

/** Their ids, repeats included. */
function eventsOf({ archive }: SimStream): readonly string[] {
  return archive
    .filter(({ subject }) => subject.endsWith(".e"))
    .flatMap(({ data }) => Buffer.from(data).toString().split("\n"))
    .flatMap((line) => (line.endsWith("}") ? [line.slice(7, line.indexOf('"', 7))] : []));
}
