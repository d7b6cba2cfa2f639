import { setMaxListeners } from "node:events";
import { type Clock, HOUR_MS, type Log, MINUTE_MS, MillraceError, type Registers } from "../../core/index.js";
import { type ReplayStream, readSample, type SampleSource } from "./manifest.js";
import { mqttSender } from "./mqtt-sender.js";
import { keptOffsets, type Offsets } from "./rebase.js";
import { countRecords, mergeRecords } from "./records.js";
import { type Ticks, ticksOf } from "./ticks.js";
import { playTimeline, type Sender } from "./timeline.js";
import { webhookSender } from "./webhook-sender.js";

const DURATION_MS = 15 * MINUTE_MS;
/** At the default pace two or three ticks a second. Each is a barrier, so at full speed they, not the doors, set the pace. */
const TICK_EVERY_MS: Readonly<Record<ReplayStream, number>> = { github: 2 * HOUR_MS, telemetry: 5 * MINUTE_MS };

export interface ReplayOptions {
  /** The directory with `manifest.json`. */
  readonly path: string;
  /** 1 plays the sample in `durationMs`, 2 twice as fast, `max` as fast as the log acknowledges. */
  readonly speed: number | "max";
  /** How long the sample takes at speed 1. @default 15 minutes */
  readonly durationMs?: number;
  /** `now`: the sample ends at its first start; `none`: recorded times. The first start's choice is kept. */
  readonly rebase: "now" | "none";
  /** Instead of choosing: ms for each source of the manifest. Not kept. */
  readonly offsets?: Offsets;
  /** The github door: `http://127.0.0.1:8080/hooks/github`. */
  readonly webhookUrl: string;
  readonly secret: string;
  readonly localKey: string;
  /** The broker the MQTT door listens to. */
  readonly mqttUrl: string;
  readonly mqttUser?: string;
  readonly mqttPassword?: string;
  readonly log: Log;
  readonly registers: Registers;
  readonly partitions: number;
  /** Name of the time source. @default "sample" */
  readonly source?: string;
  readonly clock: Clock;
}

export interface ReplayProgress {
  /** Records the log has, of `total`. */
  readonly sent: number;
  readonly total: number;
  /** Sample time, rebased, of the newest record in the log (telemetry's while it plays); undefined before the first. */
  readonly clockMs: number | undefined;
  readonly done: boolean;
}

export interface Replay {
  /**
   * Announces the source to every partition of both streams, at the moment before its first record; nothing if it is
   * announced already. To be called before any live time is told: what is late is decided from the first tick on. `run` does it
   * too, only later.
   */
  announce(): Promise<void>;
  /** Ends the source before its end, so that its silence holds nothing back; nothing if it was never announced. */
  retire(): Promise<void>;
  /** Plays from where the last run stopped to the end, or until the signal aborts. Rejects when a door refuses for good. */
  run(signal: AbortSignal): Promise<void>;
  progress(): ReplayProgress;
}

interface Timeline {
  readonly stream: ReplayStream;
  readonly sources: readonly SampleSource[];
  readonly firstMs: number;
  readonly endMs: number;
  readonly total: number;
  readonly ticks: Ticks;
  sent: number;
  clockMs: number | undefined;
  done: boolean;
}

/**
 * Plays a sample through the front doors: GitHub deliveries as signed POST requests, readings over MQTT at QoS 1, each stream in one
 * fixed order with its own ticks. Where a run stopped is read from the ticks in the log.
 *
 * Errors: MR_OPTION_INVALID (no sample there, wrong speed), MR_LOG_UNAVAILABLE.
 */
export async function createReplay(options: ReplayOptions): Promise<Replay> {
  const { speed, log, registers, partitions, source = "sample", clock } = options;
  if (speed !== "max" && !(speed > 0))
    throw new MillraceError("MR_OPTION_INVALID", `replay speed must be above 0 or max, got ${speed}`);
  const sample = await readSample(options.path);
  const kept = { sample, source, rebase: options.rebase, nowMs: clock.nowMs() };
  const offsets = options.offsets ?? (await keptOffsets(registers, kept));
  const timelines = (["github", "telemetry"] as const)
    .map((stream) => toTimeline(stream, sample.sources, offsets, ticksOf(log, { stream, source, partitions })))
    .filter(({ sources }) => sources.length > 0);

  async function play(timeline: Timeline, startedMs: number, signal: AbortSignal): Promise<void> {
    const position = await timeline.ticks.position();
    if (position?.retired) {
      timeline.sent = timeline.total;
      timeline.clockMs = timeline.endMs;
      timeline.done = true;
      return;
    }
    if (position === undefined) await timeline.ticks.publish(timeline.firstMs - 1);
    const fromMs = position?.t ?? timeline.firstMs - 1;
    const files = timeline.sources.flatMap(({ name, files }) =>
      files.map((file) => ({ file, offsetMs: offsets[name] ?? 0 })),
    );
    timeline.sent = await countRecords(files, fromMs);
    const sender = await openSender(timeline.stream, options, signal);
    try {
      timeline.done = await playTimeline(
        {
          records: mergeRecords(files, fromMs),
          sender,
          ticks: timeline.ticks,
          tickEveryMs: TICK_EVERY_MS[timeline.stream],
          fromMs,
          endMs: timeline.endMs,
          dueMs: schedule(timeline, options, { fromMs: Math.max(fromMs, timeline.firstMs), startedMs }),
          clock,
          delivered({ atMs }) {
            timeline.sent += 1;
            timeline.clockMs = Math.max(timeline.clockMs ?? atMs, atMs);
          },
        },
        signal,
      );
    } finally {
      await sender.close();
    }
  }

  return {
    async announce() {
      for (const { ticks, firstMs } of timelines) {
        if ((await ticks.position()) === undefined) await ticks.publish(firstMs - 1);
      }
    },
    async retire() {
      for (const { ticks } of timelines) {
        const position = await ticks.position();
        if (position !== undefined && !position.retired) await ticks.publish(position.t, true);
      }
    },
    async run(signal) {
      // One that fails for good stops the other: half a sample would only mislead.
      const failed = new AbortController();
      const either = AbortSignal.any([signal, failed.signal]);
      setMaxListeners(0, either); // every delivery in flight may wait on it
      const startedMs = clock.nowMs();
      const runs = timelines.map((timeline) =>
        play(timeline, startedMs, either).catch((error: unknown) => {
          failed.abort();
          throw error;
        }),
      );
      const failure = (await Promise.allSettled(runs)).find(({ status }) => status === "rejected");
      if (failure?.status === "rejected") throw failure.reason;
    },
    progress: () => progressOf(timelines),
  };
}

function toTimeline(stream: ReplayStream, all: readonly SampleSource[], offsets: Offsets, ticks: Ticks): Timeline {
  const sources = all.filter((source) => source.stream === stream);
  const offsetOf = ({ name }: SampleSource) => offsets[name] ?? 0;
  return {
    stream,
    sources,
    firstMs: Math.min(...sources.map((source) => source.firstMs + offsetOf(source))),
    endMs: Math.max(...sources.map((source) => source.lastMs + offsetOf(source))),
    total: sources.reduce((sum, { sent }) => sum + sent, 0),
    ticks,
    sent: 0,
    clockMs: undefined,
    done: false,
  };
}

/** Each stream over its own span, so that all of them fill the same quarter of an hour from one start on. */
function schedule(
  { firstMs, endMs }: Timeline,
  { speed, durationMs = DURATION_MS }: ReplayOptions,
  { fromMs, startedMs }: { fromMs: number; startedMs: number },
) {
  if (speed === "max") return undefined;
  const pace = durationMs / speed / Math.max(1, endMs - firstMs);
  const startMs = startedMs - (fromMs - firstMs) * pace;
  return (atMs: number) => startMs + (atMs - firstMs) * pace;
}

async function openSender(stream: ReplayStream, options: ReplayOptions, signal: AbortSignal): Promise<Sender> {
  const { source = "sample", clock, log, mqttUser, mqttPassword } = options;
  if (stream === "github") {
    const { webhookUrl: url, secret, localKey } = options;
    return webhookSender({ url, secret, localKey, source, clock, signal });
  }
  return mqttSender({
    log,
    signal,
    url: options.mqttUrl,
    source,
    ...(mqttUser === undefined ? {} : { user: mqttUser }),
    ...(mqttPassword === undefined ? {} : { password: mqttPassword }),
  });
}

function progressOf(timelines: readonly Timeline[]): ReplayProgress {
  const playing = timelines.filter(({ done }) => !done);
  const shown = [...playing, ...timelines].find(({ stream }) => stream === "telemetry") ?? playing[0] ?? timelines[0];
  return {
    sent: timelines.reduce((sum, { sent }) => sum + sent, 0),
    total: timelines.reduce((sum, { total }) => sum + total, 0),
    clockMs: shown?.clockMs,
    done: playing.length === 0,
  };
}
