import { MillraceError } from "../core/index.js";

/**
 * Anything with state: `save` returns a JSON value with every list in a canonical order, `load` replaces the state.
 *
 * Fields keep the order they were made in, also through `load`: parts of the state (labels, origins) go into outputs, and those must be
 * the same bytes whether or not the program was restarted.
 */
export interface Stateful<S = unknown> {
  save(): S;
  load(state: S): void;
}

/** Raised when the container itself changes; what an operator keeps is covered by its pipeline's version. */
const FORMAT = 1;

interface Container {
  readonly format: number;
  readonly program: string;
  readonly version: number;
  readonly operators: Readonly<Record<string, unknown>>;
}

/** The state of a program's operators, sorted by name: JSON in UTF-8. The same history gives the same bytes. */
export function saveState(program: string, version: number, operators: Readonly<Record<string, Stateful>>): Uint8Array {
  const names = Object.keys(operators).sort();
  const saved = Object.fromEntries(names.map((name) => [name, (operators[name] as Stateful).save()]));
  const container: Container = { format: FORMAT, program, version, operators: saved };
  return new TextEncoder().encode(JSON.stringify(container));
}

/**
 * Gives every operator the state saved under its name.
 *
 * Errors: MR_STATE_INCOMPATIBLE for bytes of another program, version or format, for a set of operators that is not exactly this
 *         one, and for a state an operator cannot take. What was loaded before the error stays: throw the program away.
 */
export function loadState(
  bytes: Uint8Array,
  program: string,
  version: number,
  operators: Readonly<Record<string, Stateful>>,
): void {
  const container = parse(bytes, program);
  if (container.format !== FORMAT || container.program !== program || container.version !== version) {
    const found = `${container.program} version ${container.version} format ${container.format}`;
    throw incompatible(program, `saved by ${found}, this is version ${version} format ${FORMAT}`);
  }
  const expected = Object.keys(operators).sort().join(", ");
  const found = Object.keys(container.operators).sort().join(", ");
  if (expected !== found) throw incompatible(program, `it has operators ${found}, this program has ${expected}`);
  for (const [name, operator] of Object.entries(operators)) {
    try {
      operator.load(container.operators[name]);
    } catch (cause) {
      throw incompatible(program, `operator ${name} cannot take what was saved`, cause);
    }
  }
}

function parse(bytes: Uint8Array, program: string): Container {
  try {
    const value: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    const container = value as Container | null;
    if (container !== null && typeof container === "object" && typeof container.operators === "object")
      return container;
  } catch (cause) {
    throw incompatible(program, "it is not saved state", cause);
  }
  throw incompatible(program, "it is not saved state");
}

function incompatible(program: string, why: string, cause?: unknown): MillraceError {
  return new MillraceError("MR_STATE_INCOMPATIBLE", `loading state of ${program}: ${why}`, { cause });
}
