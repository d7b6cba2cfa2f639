import { ByteReader, ByteWriter } from "../state/bytes.js";
import { Marks } from "../time/marks.js";

/** What stands before the times in the head of a saved program: its magic number, format, name, version and five counts. */
const COUNTS = 5;

/**
 * A program's saved state as if time had been left out of it: no watermark, no sources. For planting that fault; `EngineProgram.save`
 * writes what is read here.
 */
export function forgetTime(state: Uint8Array): Uint8Array {
  const reader = new ByteReader(state);
  const writer = new ByteWriter(state.length + 64);
  writer.uint(reader.uint());
  writer.uint(reader.uint());
  writer.text(reader.text());
  writer.uint(reader.uint());
  for (let i = 0; i < COUNTS; i++) writer.uint(reader.uint());
  for (let i = 0; i < 2; i++) {
    reader.f64();
    writer.f64(Number.NEGATIVE_INFINITY);
  }
  new Marks({}).load(reader);
  new Marks({}).save(writer);
  writer.raw(state.subarray(state.length - reader.left));
  return writer.finish();
}
