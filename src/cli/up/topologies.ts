import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { MillraceError, type Pipeline, reasonOf } from "../../core/index.js";
import { pipelines as builtIn } from "../../pipelines/index.js";

/** The one of a name. Errors: MR_OPTION_INVALID with the names there are. */
export function pipelineNamed<P extends Pipeline>(pipelines: readonly P[], name: string): P {
  const found = pipelines.find((each) => each.name === name);
  if (found !== undefined) return found;
  const known = pipelines.map((each) => each.name).join(", ");
  throw new MillraceError("MR_OPTION_INVALID", `there is no pipeline ${name}; known are ${known}`);
}

/**
 * The pipelines to run: the built-in applications, or those of a module that exports `pipelines`.
 * Errors: MR_OPTION_INVALID when the module cannot be loaded or exports none.
 */
export async function loadPipelines(path: string | undefined): Promise<readonly Pipeline[]> {
  if (path === undefined) return builtIn;
  const found = await import(pathToFileURL(resolve(path)).href).catch((cause: unknown) => {
    const reason = reasonOf(cause);
    throw new MillraceError("MR_OPTION_INVALID", `loading topologies from ${path}: ${reason}`, { cause });
  });
  const { pipelines } = found as { pipelines?: readonly Pipeline[] };
  if (Array.isArray(pipelines) && pipelines.length > 0) return pipelines;
  throw new MillraceError(
    "MR_OPTION_INVALID",
    `loading topologies from ${path}: the module must export a list \`pipelines\` of at least one topology`,
  );
}
