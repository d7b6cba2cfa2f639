import { canonicalJson } from "../../core/index.js";
import type { Filter, FilterRange } from "../protocol.js";

/** A filter ready to be asked. */
export interface CompiledFilter {
  /** Equal for filters that mean the same by form, so that they are evaluated once. */
  readonly key: string;
  matches(data: unknown): boolean;
}

/** Tests of one filter, inner nodes counted. */
const MAX_TESTS = 32;

type Test = (data: unknown) => boolean;

/** Undefined when the filter has more than 32 tests. Matching is O(tests), allocates nothing and never throws. */
export function compileFilter(filter: Filter): CompiledFilter | undefined {
  if (countTests(filter) > MAX_TESTS) return undefined;
  return { key: canonicalJson(filter), matches: compile(filter) };
}

function countTests(filter: Filter): number {
  const inner = "and" in filter ? filter.and : "or" in filter ? filter.or : "not" in filter ? [filter.not] : [];
  return inner.reduce((sum, one) => sum + countTests(one), 1);
}

function compile(filter: Filter): Test {
  if ("eq" in filter) {
    const [path, wanted] = filter.eq;
    const read = fieldOf(path);
    return (data) => read(data) === wanted;
  }
  if ("in" in filter) {
    const read = fieldOf(filter.in[0]);
    const wanted = new Set<unknown>(filter.in[1]);
    return (data) => wanted.has(read(data));
  }
  if ("prefix" in filter) {
    const [path, start] = filter.prefix;
    const read = fieldOf(path);
    return (data) => {
      const value = read(data);
      return typeof value === "string" && value.startsWith(start);
    };
  }
  if ("range" in filter) {
    const read = fieldOf(filter.range[0]);
    const within = compileRange(filter.range[1]);
    return (data) => within(read(data));
  }
  if ("not" in filter) {
    const test = compile(filter.not);
    return (data) => !test(data);
  }
  if ("and" in filter) {
    const tests = filter.and.map(compile);
    return (data) => tests.every((test) => test(data));
  }
  const tests = filter.or.map(compile);
  return (data) => tests.some((test) => test(data));
}

/** A bound of another type than the value is not met. */
function compileRange({ gt, gte, lt, lte }: FilterRange): Test {
  return (value) => {
    if (typeof value !== "number" && typeof value !== "string") return false;
    if (gt !== undefined && !(typeof gt === typeof value && value > gt)) return false;
    if (gte !== undefined && !(typeof gte === typeof value && value >= gte)) return false;
    if (lt !== undefined && !(typeof lt === typeof value && value < lt)) return false;
    return lte === undefined || (typeof lte === typeof value && value <= lte);
  };
}

/** Reads the field at a path, `.` between levels; undefined where there is none. Inherited fields are none. */
export function fieldOf(path: string): (data: unknown) => unknown {
  const names = path.split(".");
  return (data) => {
    let value = data;
    for (const name of names) {
      if (typeof value !== "object" || value === null || !Object.hasOwn(value, name)) return undefined;
      value = (value as Record<string, unknown>)[name];
    }
    return value;
  };
}
