import { MillraceError, type Registers } from "../../core/index.js";
import { repartitionUnderWay } from "../../runtime/index.js";

/** Nothing may run on a log between two layouts. Errors: MR_STREAM_MISMATCH, MR_LOG_UNAVAILABLE. */
export async function refuseBetweenLayouts(registers: Registers): Promise<void> {
  const to = await repartitionUnderWay(registers);
  if (to === undefined) return;
  const message = `a repartition to ${to} was interrupted: finish it with "millrace repartition --partitions ${to}", then start with --partitions ${to}`;
  throw new MillraceError("MR_STREAM_MISMATCH", message);
}
