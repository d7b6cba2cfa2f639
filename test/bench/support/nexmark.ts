import { writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { Checksum } from "../../../bench/nexmark/checksum.js";
import { type GeneratorOptions, generate, random } from "../../../bench/nexmark/generator.js";
import type { duckdbOracle } from "../../../bench/nexmark/oracle.js";
import { nexmarkTopology } from "../../../bench/nexmark/queries.js";
import type { LogMessage, TaskContext } from "../../../src/core/index.js";
import type { Topology } from "../../../src/operators/engine/index.js";

const CONTEXT: TaskContext = {
  task: "nexmark/0",
  partition: 0,
  partitions: 1,
  inference: { run: () => Promise.reject(new Error("none")) },
};
const SIDE = Array.from({ length: 10_000 }, (_, key): LogMessage => {
  const data = Buffer.from(JSON.stringify({ key, value: `side ${key}` }));
  return { sequence: 0, subject: "nexmark.0._ctl.side", data, header: () => undefined };
});

export interface Answer {
  readonly text: string;
  readonly late: number;
  readonly lateIds: readonly string[];
  readonly dead: number;
}

/** Runs a query over the messages, saving and loading at random places. */
export function answer(query: string, messages: readonly LogMessage[], cutSeed: number): Answer {
  const checksum = new Checksum();
  const all = query === "q13" ? [...SIDE, ...messages] : messages;
  return answerOf(nexmarkTopology(query, checksum), checksum, all, cutSeed);
}

export function answerOf(
  topology: Topology,
  checksum: Checksum,
  messages: readonly LogMessage[],
  cutSeed: number,
): Answer {
  let program = topology.create(CONTEXT);
  const chance = random(cutSeed);
  const lateIds: string[] = [];
  for (const message of messages) {
    if (chance() < 0.02) {
      const bytes = program.save();
      program = topology.create(CONTEXT);
      program.load(bytes);
    }
    program.apply(message, undefined, ({ record }) => {
      if ("kind" in record && record.kind === "late") lateIds.push(record.eventId);
    });
  }
  const { late, deadLettered } = program.counters();
  return { text: checksum.toString(), late, lateIds, dead: deadLettered };
}

export type Duckdb = Parameters<typeof duckdbOracle>[0];

/**
 * DuckDB is a dev dependency, loaded when it is there; where it is installed apart, MILLRACE_DUCKDB names that folder. An installed
 * one that does not load is an error, not a reason to skip.
 */
export async function loadDuckdb(): Promise<Duckdb | undefined> {
  const apart = process.env["MILLRACE_DUCKDB"];
  const folders = [import.meta.url, ...(apart === undefined ? [] : [pathToFileURL(join(apart, "package.json")).href])];
  for (const from of folders) {
    const path = resolved(from);
    if (path !== undefined) return ((await import(pathToFileURL(path).href)) as { default: Duckdb }).default;
  }
  return undefined;
}

function resolved(from: string): string | undefined {
  try {
    return createRequire(from).resolve("@duckdb/node-api");
  } catch {
    return undefined; // not installed there
  }
}

/** The file as DuckDB reads it: events, and marks where they fell. */
export function writeNexmark(file: string, options: GeneratorOptions): string {
  const lines = [...generate(options)].map((line) =>
    line.kind === "event" ? line.json : JSON.stringify({ mark: line.timeMs }),
  );
  writeFileSync(file, `${lines.join("\n")}\n`);
  return file;
}

/** `sequence/index`, the identity of an event in these messages, to its number in the file. */
export function seqOfIds(messages: readonly LogMessage[]): Map<string, number> {
  const seqs = new Map<string, number>();
  let seq = 0;
  for (const { sequence, subject, data } of messages) {
    if (subject.includes("_tick")) continue;
    const lines = Buffer.from(data).toString().split("\n").length;
    for (let index = 0; index < lines; index++) seqs.set(`${sequence}/${index}`, ++seq);
  }
  return seqs;
}
