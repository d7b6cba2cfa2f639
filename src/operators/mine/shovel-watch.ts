import { MINUTE_MS, type Origin } from "../../core/index.js";
import type { ProcessFunction } from "../engine/index.js";
import { median } from "../features/quantile.js";

export interface ShovelWatchOptions {
  /** Silence shorter than this is ordinary, ms of working time. */
  readonly leastSilenceMs: number;
  /** And silence shorter than this many of the shovel's median gaps. */
  readonly gaps: number;
  /** Loads a shovel must have made within `recentMs` before its last one, to be expected to go on. */
  readonly leastLoads: number;
  readonly recentMs: number;
  readonly maxSites: number;
}

export interface Silence {
  readonly shovel: string;
  /** Of its last load. */
  readonly sinceMs: number;
  /** Working time of the site since then, ms. */
  readonly silentMs: number;
  readonly medianGapMs: number;
  /** Silence was ordinary up to here, ms. */
  readonly limitMs: number;
  /** Its last loads. */
  readonly evidence: readonly Origin[];
}

/** What a load reveals about the shovels of its site. */
export interface ShovelNews {
  /** The shovel was silent and loads again. */
  readonly resumed: string | undefined;
  /** Shovels found silent by this, by name, each once until it loads again. */
  readonly silent: readonly Silence[];
}

interface Shovel {
  /** Its last loads: event time, working time, place in the log. Newest last. */
  readonly loads: readonly { readonly timeMs: number; readonly workMs: number; readonly origin: Origin }[];
  readonly silent: boolean;
}

interface Site {
  readonly lastMs: number | null;
  /** Working time: grows between loads of any shovel, but by no more than `STILL_WORKING_MS` a gap. */
  readonly workMs: number;
  /** By name. */
  readonly shovels: readonly (readonly [name: string, shovel: Shovel])[];
}

/** A site with a dozen shovels loads every minute; a longer gap without any load is a site that stands. */
const STILL_WORKING_MS = 2 * MINUTE_MS;
const REMEMBERED_LOADS = 21; // twenty gaps
const MAX_SHOVELS = 200;
const SHOWN = 8;

/**
 * Finds shovels that fell silent while the rest of their site works on. For a stream of loads by site, in event-time order.
 *
 * Silence is measured in working time, a clock that stands still while nobody loads: a shift change, a blast or a lost radio link
 * silences every shovel at once and is no shovel's fault. Judged at the loads of others, so a lone shovel is never silent.
 * State: 21 loads a shovel, for the first 200 shovels of a site. O(shovels) a load.
 */
export function shovelWatch(
  options: ShovelWatchOptions,
): ProcessFunction<string, { readonly shovel: string; readonly origin: Origin }, Site, ShovelNews> {
  return {
    ttlMs: Number.POSITIVE_INFINITY,
    maxKeys: options.maxSites,
    init: () => ({ lastMs: null, workMs: 0, shovels: [] }),
    onEvent(site, { shovel: name, origin }, at) {
      const { timeMs } = at;
      const workMs = site.workMs + (site.lastMs === null ? 0 : Math.min(timeMs - site.lastMs, STILL_WORKING_MS));
      const before = site.shovels.find(([other]) => other === name)?.[1] ?? { loads: [], silent: false };
      const loads = [...before.loads, { timeMs, workMs, origin }].slice(-REMEMBERED_LOADS);
      const silent: Silence[] = [];
      const shovels = site.shovels.map((entry) => {
        const [other, shovel] = entry;
        if (other === name) return [name, { loads, silent: false }] as const;
        const silence = silenceOf(other, shovel, workMs, options);
        if (silence === undefined) return entry;
        silent.push(silence);
        return [other, { ...shovel, silent: true }] as const;
      });
      if (before.loads.length === 0 && shovels.length < MAX_SHOVELS) {
        shovels.push([name, { loads, silent: false }]);
        shovels.sort(([a], [b]) => (a < b ? -1 : 1));
      }
      if (before.silent || silent.length > 0) at.emit({ resumed: before.silent ? name : undefined, silent });
      return { lastMs: timeMs, workMs, shovels };
    },
  };
}

/** Undefined when it is not, or is known to be. */
function silenceOf(name: string, shovel: Shovel, workMs: number, options: ShovelWatchOptions): Silence | undefined {
  const { loads } = shovel;
  const last = loads[loads.length - 1];
  if (last === undefined || shovel.silent) return undefined;
  const silentMs = workMs - last.workMs;
  if (silentMs <= options.leastSilenceMs) return undefined;
  const recent = loads.filter(({ timeMs }) => timeMs > last.timeMs - options.recentMs);
  const medianGapMs = median(recent.slice(1).map((load, i) => load.workMs - (recent[i] as typeof load).workMs));
  if (medianGapMs === undefined || recent.length < options.leastLoads) return undefined;
  const limitMs = Math.max(options.leastSilenceMs, options.gaps * medianGapMs);
  if (silentMs <= limitMs) return undefined;
  const evidence = loads.slice(-SHOWN).map(({ origin }) => origin);
  return { shovel: name, sinceMs: last.timeMs, silentMs, medianGapMs, limitMs, evidence };
}
