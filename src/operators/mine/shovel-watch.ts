import { MINUTE_MS, type Origin } from "../../core/index.js";
import { median } from "../features/quantile.js";
import { keyed } from "../keyed.js";
import type { Stateful } from "../state.js";

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

export interface ShovelWatch extends Stateful {
  /**
   * Takes a load, in event-time order. `resumed`: the shovel was silent and loads again. `silent`: shovels found silent by this,
   * by name, each once until it loads again.
   */
  loaded(
    site: string,
    shovel: string,
    timeMs: number,
    origin: Origin,
  ): { readonly resumed: boolean; readonly silent: readonly Silence[] };
  isSilent(site: string, shovel: string): boolean;
}

interface Shovel {
  /** Its last loads: event time, working time, place in the log. Newest last. */
  loads: { timeMs: number; workMs: number; origin: Origin }[];
  silent: boolean;
}

interface Site {
  lastMs: number | null;
  /** Working time: grows between loads of any shovel, but by no more than `STILL_WORKING_MS` a gap. */
  workMs: number;
  shovels: Map<string, Shovel>;
}

/** A site with a dozen shovels loads every minute; a longer gap without any load is a site that stands. */
const STILL_WORKING_MS = 2 * MINUTE_MS;
const REMEMBERED_LOADS = 21; // twenty gaps
const MAX_SHOVELS = 200;
const SHOWN = 8;

/**
 * Finds shovels that fell silent while the rest of their site works on.
 *
 * Silence is measured in working time, a clock that stands still while nobody loads: a shift change, a blast or a lost radio link
 * silences every shovel at once and is no shovel's fault. Judged at the loads of others, so a lone shovel is never silent.
 * State: 21 loads a shovel, for the first 200 shovels of a site. O(shovels) a load.
 */
export function shovelWatch(options: ShovelWatchOptions): ShovelWatch {
  const { maxSites } = options;
  const sites = keyed<Site>({
    maxKeys: maxSites,
    create: () => ({ lastMs: null, workMs: 0, shovels: new Map() }),
    save: ({ shovels, ...site }) => ({ ...site, shovels: byName(shovels) }),
    load(saved) {
      const { shovels, ...site } = saved as Omit<Site, "shovels"> & { shovels: (readonly [string, Shovel])[] };
      return { ...site, shovels: new Map(shovels) };
    },
  });
  return {
    loaded(siteName, name, timeMs, origin) {
      const site = sites.at(siteName, timeMs);
      if (site.lastMs !== null) site.workMs += Math.min(timeMs - site.lastMs, STILL_WORKING_MS);
      site.lastMs = timeMs;
      const shovel = site.shovels.get(name) ?? { loads: [], silent: false };
      if (site.shovels.size < MAX_SHOVELS) site.shovels.set(name, shovel);
      const resumed = shovel.silent;
      shovel.silent = false;
      shovel.loads.push({ timeMs, workMs: site.workMs, origin });
      if (shovel.loads.length > REMEMBERED_LOADS) shovel.loads.shift();
      return { resumed, silent: findSilent(site, name, options) };
    },
    isSilent: (site, shovel) => sites.get(site)?.shovels.get(shovel)?.silent ?? false,
    save: () => sites.save(),
    load: (state) => sites.load(state as ReturnType<typeof sites.save>),
  };
}

function findSilent(site: Site, working: string, options: ShovelWatchOptions): readonly Silence[] {
  const found: Silence[] = [];
  for (const [name, shovel] of byName(site.shovels)) {
    if (name === working || shovel.silent) continue;
    const silence = silenceOf(name, shovel, site.workMs, options);
    if (silence === undefined) continue;
    shovel.silent = true;
    found.push(silence);
  }
  return found;
}

function byName(shovels: ReadonlyMap<string, Shovel>): (readonly [string, Shovel])[] {
  return [...shovels].sort(([a], [b]) => (a < b ? -1 : 1));
}

function silenceOf(name: string, { loads }: Shovel, workMs: number, options: ShovelWatchOptions): Silence | undefined {
  const last = loads[loads.length - 1];
  if (last === undefined) return undefined;
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
