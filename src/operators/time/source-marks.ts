import { MillraceError } from "../../core/index.js";
import type { Stateful } from "../state.js";

export interface SourceMarksOptions {
  /** How far a source's mark trails its newest event, ms. 0: events of a source come in order. */
  readonly disorderMs: number;
  /** How far a source's mark may trail its own clock, ms: a quiet source holds nothing back for longer. At least `disorderMs`. */
  readonly idleAfterMs: number;
  /** An event this far beyond its source's clock is refused, ms. */
  readonly maxAheadMs: number;
}

/** Time passing in one source: the body of a tick. `retire` says that nothing more comes from it. */
export interface Tick {
  readonly source: string;
  readonly t: number;
  readonly retire?: boolean;
}

interface Source {
  t: number;
  highestMs: number | null;
  /** As of its last tick. */
  markMs: number;
  retired: boolean;
}

interface Saved {
  readonly watermarkMs: number | null;
  readonly sources: readonly (readonly [string, Source])[];
}

export interface SourceMarks extends Stateful<Saved> {
  /** Takes a tick; true when the watermark moved. A source's time that is not later than its last is ignored. */
  tick(tick: Tick): boolean;
  /** Notes an event that is in the log. */
  observe(source: string, eventTimeMs: number): void;
  /** True when the event lies more than `maxAheadMs` beyond its source's clock. */
  isAhead(source: string, eventTimeMs: number): boolean;
  /** The source's own time; of an unannounced one the latest time any source has, undefined when none was announced. */
  sourceTimeMs(source: string): number | undefined;
  /** No earlier event time is still expected. Undefined until a source announced itself; never moves back. */
  watermarkMs(): number | undefined;
}

/**
 * The watermark of a partition, from the ticks and events of its sources.
 *
 * Announce: a source counts from its first tick on. Events of a source that never ticked are taken as they come and move nothing:
 *           a producer can invent a source name, and must not hold the watermark with it. Before the first tick of any source
 *           the watermark is undefined and nothing is late.
 * Mark:     of a source, max(newest event − disorderMs, t − idleAfterMs), with the newest event counted no later than t: one
 *           device whose clock is an hour fast must not make everybody else's events late.
 * Moves:    at ticks only, and each source's mark at its own: between two ticks of a source the order of arrival cannot show in
 *           any result, nor can the moments at which other sources happen to tick.
 * Retire:   the last tick completes everything up to its t, then the source no longer counts; a later tick of it announces it
 *           again, and what it then sends may be late. When no source is left the watermark stays where it is.
 * State:    four numbers a source. O(1) an event, O(sources) a tick.
 * Errors:   MR_OPTION_INVALID unless 0 <= disorderMs <= idleAfterMs and maxAheadMs >= 0.
 */
export function sourceMarks({ disorderMs, idleAfterMs, maxAheadMs }: SourceMarksOptions): SourceMarks {
  if (!(disorderMs >= 0 && disorderMs <= idleAfterMs && maxAheadMs >= 0)) {
    const got = `disorderMs ${disorderMs}, idleAfterMs ${idleAfterMs}, maxAheadMs ${maxAheadMs}`;
    throw new MillraceError(
      "MR_OPTION_INVALID",
      `source marks need 0 <= disorderMs <= idleAfterMs and maxAheadMs >= 0, got ${got}`,
    );
  }
  let watermarkMs: number | undefined;
  let sources = new Map<string, Source>();

  function markOf(t: number, highestMs: number | null): number {
    const byTick = t - idleAfterMs;
    return highestMs === null ? byTick : Math.max(byTick, Math.min(highestMs, t) - disorderMs);
  }

  function advance(leaving?: Source): boolean {
    let least = leaving?.t;
    for (const source of sources.values()) {
      if (source.retired) continue;
      if (least === undefined || source.markMs < least) least = source.markMs;
    }
    if (least === undefined || (watermarkMs !== undefined && least <= watermarkMs)) return false;
    watermarkMs = least;
    return true;
  }

  function latestMs(): number | undefined {
    let latest: number | undefined;
    for (const { t } of sources.values()) if (latest === undefined || t > latest) latest = t;
    return latest;
  }

  return {
    tick({ source: name, t, retire = false }) {
      const source = sources.get(name) ?? { t: Number.MIN_SAFE_INTEGER, highestMs: null, markMs: 0, retired: false };
      if (t < source.t || (t === source.t && (source.retired || !retire))) return false;
      sources.set(name, source);
      source.t = t;
      source.markMs = markOf(t, source.highestMs);
      source.retired = retire;
      const moved = retire && advance(source);
      return advance() || moved;
    },
    observe(name, eventTimeMs) {
      const source = sources.get(name);
      if (source === undefined) return;
      if (source.highestMs === null || eventTimeMs > source.highestMs) source.highestMs = eventTimeMs;
    },
    isAhead(name, eventTimeMs) {
      const t = sources.get(name)?.t ?? latestMs();
      return t !== undefined && eventTimeMs - t > maxAheadMs;
    },
    sourceTimeMs: (name) => sources.get(name)?.t ?? latestMs(),
    watermarkMs: () => watermarkMs,
    save: () => ({
      watermarkMs: watermarkMs ?? null,
      sources: [...sources]
        .map(([name, source]) => [name, { ...source }] as const)
        .sort(([a], [b]) => (a < b ? -1 : 1)),
    }),
    load(state) {
      watermarkMs = state.watermarkMs ?? undefined;
      sources = new Map(state.sources.map(([name, source]) => [name, { ...source }]));
    },
  };
}
