import { setMaxListeners } from "node:events";
import { isMillraceError, type Lease, type Pipeline } from "../../core/index.js";
import { Pace, Task, type TaskOptions, type TaskStatus } from "../../runtime/index.js";
import { registerReader } from "../../workers/keeper/index.js";
import { createHotKeys, type HotKey, type HotKeys } from "./hot-keys.js";

export interface OwnTaskStatus extends TaskStatus {
  /** The ten keys with most messages, largest first. */
  readonly hotKeys: readonly HotKey[];
}

export interface TaskSet {
  /**
   * Runs every task of a partition under a lease that another thread holds; resolves when all have ended: when they are told to, or when
   * one is fenced although the lease is not lost, and the partition must be taken again.
   */
  run(partition: number, epoch: number): Promise<void>;
  /** Ends a partition's tasks: with a last snapshot, or at once when its lease is `lost`. */
  end(partition: number, lost: boolean): void;
  /** These pipelines rest, after a last snapshot; all others run. */
  pause(pipelines: readonly string[]): void;
  status(): readonly OwnTaskStatus[];
  /** The task `<pipeline>/<partition>` while it runs here. */
  find(name: string): Task | undefined;
}

/** The pipeline, with a look at what its programs are given. */
function watched(pipeline: Pipeline, hotKeys: HotKeys): Pipeline {
  const { name, summary, source, writes, steps, version } = pipeline;
  return {
    ...{ name, summary, source, writes, steps, version },
    create(context) {
      const program = pipeline.create(context);
      const apply = program.apply.bind(program);
      program.apply = (message, ahead, emit) => {
        hotKeys.see(message);
        apply(message, ahead, emit);
      };
      const applyInSteps = program.applyInSteps?.bind(program);
      if (applyInSteps !== undefined) {
        program.applyInSteps = (message, ahead, emit) => {
          hotKeys.see(message);
          return applyInSteps(message, ahead, emit);
        };
      }
      return program;
    },
  };
}

const REGISTER_RETRY_MS = 250;
/** Well beyond a lease's period: who is fenced by a living owner has lost the lease by then. */
const FENCED_MS = 10_000;

interface Held {
  readonly lost: AbortController;
  readonly end: AbortController;
}

/** The tasks of one thread: those of the partitions it was given, but for the pipelines that are paused. */
export function createTaskSet(
  pipelines: readonly Pipeline[],
  shared: Omit<TaskOptions, "pipeline" | "partition" | "pace">,
): TaskSet {
  const pace = new Pace();
  const held = new Map<number, Held>();
  const atWork = new Map<string, { readonly task: Task; readonly stop: AbortController; readonly hotKeys: HotKeys }>();
  let paused: ReadonlySet<string> = new Set();
  let waiting: (() => void)[] = [];
  const wake = (): void => {
    const woken = waiting;
    waiting = [];
    for (const resolve of woken) resolve();
  };

  const end = (partition: number, lost: boolean): void => {
    const holding = held.get(partition);
    if (lost) holding?.lost.abort();
    holding?.end.abort();
    wake();
  };

  /** Nothing a task has not read may be purged; the keeper knows it by this. */
  const register = async ({ source: stream, name }: Pipeline, partition: number, over: AbortSignal): Promise<void> => {
    while (!over.aborted) {
      try {
        await registerReader(shared.registers, { stream, name: `${name}/${partition}`, kind: "task" });
        return;
      } catch (error) {
        if (!isMillraceError(error) || error.disposition !== "retry") throw error;
        await shared.clock.sleep(REGISTER_RETRY_MS, over);
      }
    }
  };

  const keep = async (pipeline: Pipeline, partition: number, lease: Lease, over: AbortSignal): Promise<void> => {
    await register(pipeline, partition, over);
    while (!over.aborted) {
      if (paused.has(pipeline.name)) {
        await new Promise<void>((resolve) => waiting.push(resolve));
        continue;
      }
      const stop = new AbortController();
      const hotKeys = createHotKeys();
      const task = new Task({ ...shared, pace, pipeline: watched(pipeline, hotKeys), partition });
      atWork.set(task.name, { task, stop, hotKeys });
      const signal = AbortSignal.any([over, stop.signal]);
      setMaxListeners(0, signal);
      await task.run(lease, signal);
      // Fenced: somebody has a larger epoch, so the lease goes as well, a moment later. If it does not, the registers were lost and the
      // former owner's clock was ahead of ours: what is given back is taken again under a larger epoch.
      if (!signal.aborted) await shared.clock.sleep(FENCED_MS, signal);
      if (!signal.aborted) end(partition, false);
      atWork.delete(task.name);
    }
  };

  return {
    async run(partition, epoch) {
      const holding: Held = { lost: new AbortController(), end: new AbortController() };
      const { lost, end } = holding;
      const lease: Lease = {
        name: `partition/${partition}`,
        holder: "",
        epoch,
        lost: lost.signal,
        release: async () => undefined,
      };
      const over = AbortSignal.any([lost.signal, end.signal]);
      setMaxListeners(0, over, lost.signal);
      held.set(partition, holding);
      const mine = pipelines.filter(({ single }) => !single || partition === 0);
      await Promise.all(mine.map((pipeline) => keep(pipeline, partition, lease, over)));
      held.delete(partition);
    },
    end,
    pause(names) {
      paused = new Set(names);
      for (const { task, stop } of atWork.values()) if (paused.has(task.status().pipeline)) stop.abort();
      wake();
    },
    status: () => [...atWork.values()].map(({ task, hotKeys }) => ({ ...task.status(), hotKeys: hotKeys.top() })),
    find: (name) => atWork.get(name)?.task,
  };
}
