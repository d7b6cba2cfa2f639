/**
 * Builds small functions from text, so that each topology's hot loop has call sites of its own: the engine then sees one target
 * at each and inlines it. With shared loops over lists of closures the same work took about three times as long.
 *
 * Only field names and counts come from outside, and names only as JSON string literals.
 */

/** `(value) => value[field]`, with a property access of its own. */
export function fieldOf<V, X>(field: string): (value: V) => X {
  return new Function("value", `return value[${JSON.stringify(field)}];`) as (value: V) => X;
}

/** `(…params) => { f0(…args0); f1(…args1); }`. */
export function inTurn<F>(functions: readonly unknown[], params: readonly string[], args: readonly string[]): F {
  const names = functions.map((_, i) => `f${i}`);
  const calls = functions.map((_, i) => `f${i}(${args[i]});`);
  const body = `return (${params.join(", ")}) => { ${calls.join("")} };`;
  return new Function(...names, body)(...functions) as F;
}

/** `(…params) => ({ plain…, name0: f0(…args), name1: f1(…args) })`: one object of one shape. `plain` are parameters kept as fields. */
export function recordOf<F>(
  functions: Readonly<Record<string, unknown>>,
  params: readonly string[],
  args: readonly string[],
  plain: readonly string[],
): F {
  const names = Object.keys(functions);
  // Not computed names ([name]: …): those are defined one by one, at several times the cost.
  const fields = names.map((name, i) => `${JSON.stringify(name)}: f${i}(${args.join(", ")})`);
  const body = `return (${params.join(", ")}) => ({ ${[...plain, ...fields].join(", ")} });`;
  return new Function(...names.map((_, i) => `f${i}`), body)(...Object.values(functions)) as F;
}

let made = 0;

/**
 * A function of the text given, with `names` in reach. The number keeps two of
 * equal text apart: else they would share what the machine has learned of their call sites, and nothing be inlined in either.
 */
export function ownFunction<F>(names: Readonly<Record<string, unknown>>, text: string): F {
  return new Function(...Object.keys(names), `return ${text}; // ${++made}`)(...Object.values(names)) as F;
}
