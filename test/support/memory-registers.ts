import type { Register, Registers } from "../../src/core/index.js";

/** The registers port in memory: same revisions, same refusals. While `down` is true every call rejects. */
export function memoryRegisters(): Registers & { down: boolean } {
  const kept = new Map<string, { value: Uint8Array; revision: number }>();
  let revision = 0;
  const port = {
    down: false,
    async get(key: string) {
      if (port.down) throw new Error("the registers are away");
      return kept.get(key);
    },
    async set(key: string, value: Uint8Array, expectedRevision: number) {
      if (port.down) throw new Error("the registers are away");
      if ((kept.get(key)?.revision ?? 0) !== expectedRevision) return undefined;
      kept.set(key, { value, revision: ++revision });
      return revision;
    },
    async remove(key: string, expectedRevision: number) {
      return kept.get(key)?.revision === expectedRevision && kept.delete(key);
    },
    async list(prefix: string): Promise<readonly Register[]> {
      return [...kept].filter(([key]) => key.startsWith(prefix)).map(([key, register]) => ({ key, ...register }));
    },
  };
  return port;
}
