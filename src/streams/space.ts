import type { Objects } from "../core/index.js";
import { readMarker } from "./batch.js";
import { removeBodies } from "./codecs/body.js";
import type { Link } from "./connection.js";
import { logError } from "./failures.js";
import { everyMarker, taskOf } from "./marker-subjects.js";
import { countSubjects } from "./publish.js";

/** A task's place in an output stream, as the stream keeps it. */
export interface PlacedMarker {
  /** `<pipeline>/<partition>` */
  readonly task: string;
  /** Position in the output stream of the message that is or carries it. */
  readonly storedAt: number;
  /** Position in the input stream that it says. */
  readonly sequence: number;
}

/** Space in the log, and how it is freed. Errors of all calls: MR_LOG_UNAVAILABLE. */
export interface Space {
  /** The first message stored at or after a wall time; one past the end when there is none. */
  firstSince(stream: string, timeMs: number): Promise<number>;
  /** The markers of every task that writes to the stream. O(tasks). */
  markers(stream: string): Promise<readonly PlacedMarker[]>;
  /** Wall time of the oldest message; Infinity when there is none. */
  oldestMs(stream: string): Promise<number>;
  /** Removes the bodies that were too large for a message, of days before that of `timeMs`; resolves with how many. */
  freeBodies(timeMs: number): Promise<number>;
  /** Forgets every message before `sequence`; resolves with how many. What is gone already is fine. */
  purge(stream: string, sequence: number): Promise<number>;
}

export function openSpace(link: Link, objects: Objects): Space {
  const { jsm } = link;
  return {
    async firstSince(stream, timeMs) {
      try {
        const found = await jsm.direct.getMessage(stream, { start_time: new Date(timeMs) });
        return found?.seq ?? (await jsm.streams.info(stream)).state.last_seq + 1;
      } catch (cause) {
        throw logError(`finding the first message of ${stream} since ${new Date(timeMs).toISOString()}`, cause);
      }
    },

    async markers(stream) {
      const counts = await Promise.all(everyMarker(stream).map((pattern) => countSubjects(link, stream, pattern)));
      const tasks = new Set(counts.flatMap((subjects) => [...subjects.keys()].map(taskOf)));
      const found = await Promise.all(
        [...tasks].map(async (task) => ({ task, marker: await readMarker(link, stream, task) })),
      );
      return found.flatMap(({ task, marker }) =>
        marker === undefined ? [] : [{ task, storedAt: marker.storedAt, sequence: marker.sequence }],
      );
    },

    async oldestMs(stream) {
      try {
        const { state } = await jsm.streams.info(stream);
        return state.messages === 0 ? Number.POSITIVE_INFINITY : Date.parse(state.first_ts);
      } catch (cause) {
        throw logError(`reading the age of ${stream}`, cause);
      }
    },

    freeBodies: (timeMs) => removeBodies(objects, timeMs),

    async purge(stream, sequence) {
      try {
        return (await jsm.streams.purge(stream, { seq: sequence })).purged;
      } catch (cause) {
        throw logError(`purging ${stream} before ${sequence}`, cause);
      }
    },
  };
}
