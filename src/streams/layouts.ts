import { randomBytes } from "node:crypto";
import type { Layouts, StreamSpec } from "../core/index.js";
import type { Link } from "./connection.js";
import { logError } from "./failures.js";
import { FORMER, INCARNATION, PARTITIONS, RELAID_THROUGH, transformOf } from "./stream.js";

/** Whoever speaks of an older one has slept for as many repartitions. */
const FORMER_MOST = 32;

/** Changes streams in place, so that nothing is ever copied, and nothing is deleted that cannot be computed again. */
export function openLayouts({ jsm }: Link): Layouts {
  const attempt = async <T>(what: string, work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (cause) {
      throw logError(what, cause);
    }
  };
  /** Metadata is replaced as a whole. */
  const rename = async (name: string, more: Readonly<Record<string, string>>): Promise<void> => {
    const { config } = await jsm.streams.info(name);
    const { [INCARNATION]: current = "", [FORMER]: before = "" } = config.metadata ?? {};
    const former = [...before.split(" "), current].filter((each) => each !== "").slice(-FORMER_MOST);
    const identity = { [INCARNATION]: randomBytes(8).toString("hex"), [FORMER]: former.join(" ") };
    const metadata = { ...config.metadata, ...identity, ...more };
    await jsm.streams.update(name, { metadata });
  };
  return {
    relay: (spec, partitions) =>
      attempt(`changing the partitions of ${spec.name} to ${partitions}`, async () => {
        if (spec.transform !== undefined) await jsm.streams.update(spec.name, transformOf(spec.transform));
        // What came before this moment may stand under either layout; what comes after it stands under the new one.
        const { state } = await jsm.streams.info(spec.name);
        const through = String(state.last_seq);
        await rename(spec.name, { [PARTITIONS]: String(partitions), [RELAID_THROUGH]: through });
      }),

    renew: (name, partitions, subjects) =>
      attempt(`emptying ${name}, to be computed again for ${partitions} partitions`, async () => {
        for (const filter of subjects) await jsm.streams.purge(name, { filter });
        await rename(name, { [PARTITIONS]: String(partitions) });
      }),

    follow: ({ name, sources = [] }: StreamSpec) =>
      attempt(`changing what is copied into ${name}`, async () => {
        const wanted = sources.map(({ stream, subjects }) => ({ name: stream, subject_transforms: [...subjects] }));
        await jsm.streams.update(name, { sources: wanted });
      }),
  };
}
