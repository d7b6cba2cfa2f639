import { decodeToken, encodeToken } from "../core/index.js";

/**
 * Where the markers of a task stand in an output stream: `<stream>._at._by.<task>` for a marker by itself, also the last message of an
 * atomic batch, and `<stream>.<partition>._by.<task>` for one that a pack carries in a header. One pattern fits both, so that each
 * is guarded by the other. Readers never see the first kind, and see the second under the pack's own subject.
 */
export const HEADERS = { subject: "Millrace-Subject", marker: "Millrace-Marker" } as const;

const BY = "_by";

export function bareSubject(stream: string, task: string): string {
  return `${stream}._at.${BY}.${tokens(task)}`;
}

/** `subject` is the pack's own: `<stream>.<partition>.…`. */
export function carriedSubject(subject: string, task: string): string {
  const [stream, partition] = subject.split(".", 2);
  return `${stream}.${partition}.${BY}.${tokens(task)}`;
}

/** Every marker of the task, bare or carried. */
export function writtenBy(stream: string, task: string): string {
  return `${stream}.*.${BY}.${tokens(task)}`;
}

/** Before packs could carry them, markers stood at `<stream>._at.<task>`. */
export function formerSubject(stream: string, task: string): string {
  return `${stream}._at.${tokens(task)}`;
}

/** Patterns of all markers of a stream, and whose one is. */
export function everyMarker(stream: string): readonly string[] {
  return [`${stream}.*.${BY}.>`, `${stream}._at.>`];
}

export function taskOf(subject: string): string {
  const [, , third, ...rest] = subject.split(".");
  const task = third === BY ? rest : subject.split(".").slice(2);
  return task.map(decodeToken).join("/");
}

/** @param from length of the stream's name and its dot */
export function isCarried(subject: string, from: number): boolean {
  return subject.startsWith(`.${BY}.`, subject.indexOf(".", from));
}

function tokens(task: string): string {
  return task.split("/").map(encodeToken).join(".");
}
