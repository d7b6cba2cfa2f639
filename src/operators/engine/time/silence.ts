import type { ByteReader, ByteWriter } from "../state/bytes.js";
import type { Operator, OperatorMetrics, Push, Runtime } from "../topology/runtime.js";
import type { SilenceEvent } from "../topology/topology.js";

/**
 * Says when a source falls silent and when it is back, judged at its ticks by its own clock.
 *
 * Quiet is not the same as gone: without this a broken wire and a machine at rest look alike. State: one name a silent source.
 */
export class SilenceWatch implements Operator {
  readonly id: number;
  readonly name: string;
  readonly #silent = new Set<string>();

  constructor(id: number, name: string, runtime: Runtime, afterMs: number, next: Push<SilenceEvent>) {
    this.id = id;
    this.name = name;
    runtime.silences.push((source, silentForMs) => {
      const silent = silentForMs >= afterMs;
      if (silent === this.#silent.has(source)) return;
      if (silent) this.#silent.add(source);
      else this.#silent.delete(source);
      runtime.attempt(next, { source, kind: silent ? "silent" : "back", atMs: runtime.now.timeMs });
    });
  }

  nextMs(): number {
    return Number.POSITIVE_INFINITY;
  }

  advance(): void {}

  save(writer: ByteWriter): void {
    writer.uint(this.#silent.size);
    for (const source of [...this.#silent].sort()) writer.text(source);
  }

  load(reader: ByteReader): void {
    this.#silent.clear();
    for (let left = reader.uint(); left > 0; left--) this.#silent.add(reader.text());
  }

  metrics(): OperatorMetrics {
    return { name: this.name, keys: this.#silent.size, bytes: 0 };
  }
}
