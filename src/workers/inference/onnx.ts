import { readFile } from "node:fs/promises";
import type { InferenceSession } from "onnxruntime-node";
import { type Inference, MillraceError } from "../../core/index.js";

/**
 * Rows of every call into the runtime; shorter batches are filled up with zero rows. One fixed shape, because kernels are chosen by
 * shape: with one thread, a LinearRegressor gave other last bits for a batch of one in 32 to 68 % of rows. With 64 rows a call costs
 * about 20 µs for a linear model.
 */
export const BLOCK_ROWS = 64;

/** How far rows are moved within the block to see whether their place shows. */
const PROBE_SHIFTS = [1, 2, 3, 7, 32] as const;

export interface InferenceOptions {
  /** Name to model: a file path or the bytes. A file is read when its model is first used. */
  readonly models: Readonly<Record<string, string | Uint8Array>>;
}

export interface ModelRunner extends Inference {
  /** Frees the sessions. Safe to call twice; `run` afterwards loads again. */
  close(): Promise<void>;
}

type Runtime = typeof import("onnxruntime-node");

/**
 * ONNX models, each `[n, width] float32 -> n values`, on one thread.
 *
 * Pure:   a row's result depends on that row alone, bit for bit: not on its batch, its place in it, or the number of calls.
 *         A model that cannot promise that (a sum over rows that are not aligned in memory, say) is found out when it loads.
 * Cost:   the runtime and each model load on first use (about 45 MB and 20 ms together); nothing before that.
 * Errors: MR_OPTION_INVALID (fatal) for an unknown, unreadable or place-dependent model, a wrong width, or other than one value a
 *         row.
 */
export function createInference({ models }: InferenceOptions): ModelRunner {
  const sessions = new Map<string, Promise<InferenceSession>>();

  const session = (name: string, width: number): Promise<InferenceSession> => {
    const known = sessions.get(name);
    if (known !== undefined) return known;
    const loading = load(name, models[name], width);
    sessions.set(name, loading);
    loading.catch(() => sessions.delete(name)); // The caller hears of it; the next one starts afresh.
    return loading;
  };

  return {
    async run(model, rows, width) {
      const count = rowCount(model, rows, width);
      const results = new Float32Array(count);
      if (count === 0) return results;
      const open = await session(model, width);
      for (let from = 0; from < count; from += BLOCK_ROWS) {
        const block = new Float32Array(BLOCK_ROWS * width);
        block.set(rows.subarray(from * width, (from + BLOCK_ROWS) * width));
        const values = await runBlock(model, open, block);
        results.set(values.subarray(0, Math.min(BLOCK_ROWS, count - from)), from);
      }
      return results;
    },

    async close() {
      const open = await Promise.allSettled(sessions.values());
      sessions.clear();
      await Promise.all(open.map((one) => (one.status === "fulfilled" ? one.value.release() : undefined)));
    },
  };
}

function rowCount(model: string, rows: Float32Array, width: number): number {
  if (Number.isSafeInteger(width) && width > 0 && rows.length % width === 0) return rows.length / width;
  throw new MillraceError(
    "MR_OPTION_INVALID",
    `running model ${model}: ${rows.length} values are not rows of ${width}`,
  );
}

/** The native library is loaded by whoever runs a model first: threads that never do stay small. */
async function runtime(): Promise<Runtime> {
  return (await import("onnxruntime-node")).default;
}

async function load(name: string, model: string | Uint8Array | undefined, width: number): Promise<InferenceSession> {
  if (model === undefined)
    throw new MillraceError("MR_OPTION_INVALID", `running model ${name}: no such model is configured`);
  const session = await open(name, model);
  try {
    await proveRowsAreAlone(name, session, width);
  } catch (error) {
    await session.release();
    throw error;
  }
  return session;
}

async function open(name: string, model: string | Uint8Array): Promise<InferenceSession> {
  try {
    const bytes = typeof model === "string" ? await readFile(model) : model;
    const { InferenceSession } = await runtime();
    return await InferenceSession.create(new Uint8Array(bytes), {
      intraOpNumThreads: 1,
      interOpNumThreads: 1,
      executionMode: "sequential",
      // The shape never changes, so an arena that grows with the largest batch seen would save nothing.
      enableCpuMemArena: false,
      enableMemPattern: false,
    });
  } catch (cause) {
    const from = typeof model === "string" ? `from ${model}` : `from ${model.length} bytes`;
    throw new MillraceError("MR_OPTION_INVALID", `loading model ${name} ${from}: ${(cause as Error).message}`, {
      cause,
    });
  }
}

/** Moves the same rows through the block: their results must move with them, bit for bit. */
async function proveRowsAreAlone(name: string, session: InferenceSession, width: number): Promise<void> {
  const rows = probeRows(width);
  const values = await runBlock(name, session, rows);
  for (const shift of PROBE_SHIFTS) {
    const moved = new Float32Array(rows.length);
    moved.set(rows.subarray(0, rows.length - shift * width), shift * width);
    moved.set(rows.subarray(rows.length - shift * width));
    const movedValues = await runBlock(name, session, moved);
    const same = values.every((value, i) => Object.is(value, movedValues[(i + shift) % BLOCK_ROWS]));
    if (same) continue;
    throw new MillraceError(
      "MR_OPTION_INVALID",
      `loading model ${name}: a row's result depends on its place in the batch, so a replay would differ. ` +
        "Write sums over features as Gemm, MatMul or LinearRegressor.",
    );
  }
}

/** Fixed numbers of mixed size and sign; where rounding can differ it differs for some of them. */
function probeRows(width: number): Float32Array {
  let state = 1;
  return Float32Array.from({ length: BLOCK_ROWS * width }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return (state / 2 ** 32 - 0.25) * 1_000;
  });
}

async function runBlock(model: string, session: InferenceSession, block: Float32Array): Promise<Float32Array> {
  const [inputName] = session.inputNames;
  const [outputName] = session.outputNames;
  if (inputName === undefined || outputName === undefined) {
    throw new MillraceError("MR_OPTION_INVALID", `running model ${model}: it has no input or no output`);
  }
  const { Tensor } = await runtime();
  const dims = [BLOCK_ROWS, block.length / BLOCK_ROWS];
  const values = await session.run({ [inputName]: new Tensor("float32", block, dims) }).then(
    (outputs) => outputs[outputName]?.data,
    (cause: unknown) => {
      // A row that does not fit the model is wrong in every batch: the model and the features disagree.
      const reason = (cause as Error).message;
      throw new MillraceError("MR_OPTION_INVALID", `running model ${model} on [${dims}]: ${reason}`, { cause });
    },
  );
  if (values instanceof Float32Array && values.length === BLOCK_ROWS) return values;
  throw new MillraceError(
    "MR_OPTION_INVALID",
    `running model ${model}: expected one float32 a row in output ${outputName}`,
  );
}
