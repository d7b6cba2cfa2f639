import { MillraceError } from "../../../core/index.js";
import type { ByteReader, ByteWriter } from "../state/bytes.js";

export interface TimeOptions {
  /** How far a source's mark trails its newest event, ms. 0: events of a source come in order. @default 0 */
  readonly disorderMs?: number;
  /** How far a source's mark may trail its own clock, ms: a quiet source holds nothing back for longer. @default 60 000 */
  readonly idleAfterMs?: number;
  /** An event this far beyond its source's clock cannot be true, ms. @default no limit */
  readonly maxAheadMs?: number;
  /** What becomes of one: a dead letter, or an event at its source's own time. @default "refuse" */
  readonly ahead?: "refuse" | "sourceTime";
}

/** Time passing in one source: the body of a tick. */
export interface Tick {
  readonly source: string;
  /** The source's own time, ms. A value that is not larger than the last is ignored. */
  readonly t: number;
  /** Punctuated watermark: no earlier event of this source is still to come, ms. */
  readonly mark?: number;
  /** Nothing more comes from this source. */
  readonly retire?: boolean;
}

interface Clock {
  t: number;
  highestMs: number;
  /** Largest punctuated mark. */
  promisedMs: number;
  /** The source's mark as of its last tick. */
  markMs: number;
  /** The source's time when its latest event was seen. */
  heardAt: number;
  retired: boolean;
}

const NEVER = Number.NEGATIVE_INFINITY;

/**
 * The watermark of a partition, from the ticks and events of its sources.
 *
 * Announce: a source counts from its first tick on. Events of a source that never ticked are taken as they come and move nothing:
 *           a producer can invent a source name, and must not hold the watermark with it.
 * Mark:     of a source, the largest of: newest event − disorderMs, with the newest event counted no later than t (one device
 *           whose clock is fast must not make everybody else late); t − idleAfterMs; its punctuated mark.
 * Moves:    at ticks only, each source's mark at its own: between two ticks of a source the order of arrival cannot show in any
 *           result, nor can the moments at which other sources happen to tick. The minimum over announced sources wins; never back.
 * Retire:   the last tick completes everything up to its t, then the source no longer counts. With none left the watermark stays.
 * State:    six numbers a source. O(1) an event, O(sources) a tick.
 * Errors:   MR_OPTION_INVALID unless 0 <= disorderMs <= idleAfterMs and maxAheadMs >= 0.
 */
export class Marks {
  watermarkMs = NEVER;
  readonly #disorderMs: number;
  readonly #idleAfterMs: number;
  readonly #maxAheadMs: number;
  #sources = new Map<string, Clock>();
  #lastName: string | undefined;
  #last: Clock | undefined;

  constructor({
    disorderMs = 0,
    idleAfterMs = Math.max(60_000, disorderMs),
    maxAheadMs = Number.POSITIVE_INFINITY,
  }: TimeOptions) {
    if (!(disorderMs >= 0 && disorderMs <= idleAfterMs && maxAheadMs >= 0)) {
      const got = `disorderMs ${disorderMs}, idleAfterMs ${idleAfterMs}, maxAheadMs ${maxAheadMs}`;
      throw new MillraceError(
        "MR_OPTION_INVALID",
        `time needs 0 <= disorderMs <= idleAfterMs and maxAheadMs >= 0, got ${got}`,
      );
    }
    this.#disorderMs = disorderMs;
    this.#idleAfterMs = idleAfterMs;
    this.#maxAheadMs = maxAheadMs;
  }

  /** True when the watermark moved. */
  tick({ source: name, t, mark = NEVER, retire = false }: Tick): boolean {
    let clock = this.#sources.get(name);
    if (
      clock !== undefined &&
      (t < clock.t || (t === clock.t && (clock.retired || !(retire || mark > clock.promisedMs))))
    )
      return false;
    if (clock === undefined) {
      clock = newClock(t);
      this.#sources.set(name, clock);
      this.#lastName = undefined;
    }
    clock.t = t;
    clock.retired = retire;
    if (mark > clock.promisedMs) clock.promisedMs = mark;
    clock.markMs = this.#markOf(clock);
    const completed = retire && this.#advance(clock.t);
    return this.#advance(Number.POSITIVE_INFINITY) || completed;
  }

  /**
   * Sets which sources of kind "producer" there are (the tasks of the stage before): the watermark waits for each from here on, and no
   * longer for one that is not named. Returns whether it moved.
   */
  setProducers(names: readonly string[], isProducer: (name: string) => boolean): boolean {
    this.#lastName = undefined;
    for (const [name, clock] of this.#sources) if (isProducer(name) && !names.includes(name)) clock.retired = true;
    for (const name of names) {
      const known = this.#sources.get(name);
      if (known === undefined) this.#sources.set(name, newClock(NEVER));
      else known.retired = false;
    }
    return this.#advance(Number.POSITIVE_INFINITY);
  }

  #advance(upTo: number): boolean {
    let least = upTo;
    for (const clock of this.#sources.values()) {
      if (!clock.retired) least = Math.min(least, clock.markMs);
    }
    if (least === Number.POSITIVE_INFINITY || least <= this.watermarkMs) return false;
    this.watermarkMs = least;
    return true;
  }

  #markOf({ t, highestMs, promisedMs }: Clock): number {
    return Math.max(t - this.#idleAfterMs, Math.min(highestMs, t) - this.#disorderMs, promisedMs);
  }

  /** True when the event lies more than `maxAheadMs` beyond its source's clock. */
  isAhead(name: string, eventTimeMs: number): boolean {
    const t = this.#clockOf(name)?.t ?? this.latestMs() ?? Number.POSITIVE_INFINITY;
    return eventTimeMs - t > this.#maxAheadMs;
  }

  /** Notes an event that is in the log. */
  observe(name: string, eventTimeMs: number): void {
    const clock = this.#clockOf(name);
    if (clock === undefined) return;
    if (eventTimeMs > clock.highestMs) clock.highestMs = eventTimeMs;
    clock.heardAt = clock.t;
  }

  /** Neighbours in the log are mostly of one source. */
  #clockOf(name: string): Clock | undefined {
    if (name !== this.#lastName) {
      this.#last = this.#sources.get(name);
      this.#lastName = name;
    }
    return this.#last;
  }

  /** The source's own time; of an unannounced one the latest of any source, undefined when none was announced. */
  timeOf(name: string): number | undefined {
    return this.#sources.get(name)?.t ?? this.latestMs();
  }

  latestMs(): number | undefined {
    let latest: number | undefined;
    for (const { t } of this.#sources.values()) if (latest === undefined || t > latest) latest = t;
    return latest;
  }

  /** How long the source has been without events by its own clock, ms; 0 for an unannounced or retired one. */
  silentForMs(name: string): number {
    const clock = this.#sources.get(name);
    return clock === undefined || clock.retired ? 0 : clock.t - clock.heardAt;
  }

  save(writer: ByteWriter): void {
    writer.f64(this.watermarkMs);
    writer.uint(this.#sources.size);
    for (const [name, clock] of [...this.#sources].sort(([a], [b]) => (a < b ? -1 : 1))) {
      writer.text(name);
      writer.f64(clock.t);
      writer.f64(clock.highestMs);
      writer.f64(clock.promisedMs);
      writer.f64(clock.markMs);
      writer.f64(clock.heardAt);
      writer.u8(clock.retired ? 1 : 0);
    }
  }

  load(reader: ByteReader): void {
    this.watermarkMs = reader.f64();
    this.#sources = new Map();
    this.#lastName = undefined;
    for (let left = reader.uint(); left > 0; left--) {
      const name = reader.text();
      const [t, highestMs, promisedMs] = [reader.f64(), reader.f64(), reader.f64()];
      const [markMs, heardAt] = [reader.f64(), reader.f64()];
      this.#sources.set(name, { t, highestMs, promisedMs, markMs, heardAt, retired: reader.u8() === 1 });
    }
  }
}

function newClock(t: number): Clock {
  return { t, highestMs: NEVER, promisedMs: NEVER, markMs: NEVER, heardAt: t, retired: false };
}
