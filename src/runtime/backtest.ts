import {
  type Alert,
  DAY_MS,
  type Inference,
  isMillraceError,
  type Log,
  type LogMessage,
  MillraceError,
  type Objects,
  type Pipeline,
  type Program,
  parseTimeMs,
  type Registers,
} from "../core/index.js";
import { storedPartition } from "./partition.js";
import { readPointer } from "./pointer.js";
import { storedMessages } from "./stored.js";

const ALERTS = "alerts";
/** Without a snapshot, on a log whose beginning is gone, models are taken for cold so long, by event time. */
const WARM_UP_MS = DAY_MS;

export interface BacktestOptions {
  readonly pipeline: Pipeline;
  readonly partitions: number;
  readonly log: Log;
  readonly objects: Objects;
  readonly registers: Registers;
  readonly inference: Inference;
  /** Alerts whose time lies in [fromMs, toMs) are compared. */
  readonly fromMs: number;
  readonly toMs: number;
  /** By kind of control message the fields that are to be otherwise than logged, from the start on. */
  readonly settings: ReadonlyMap<string, Readonly<Record<string, unknown>>>;
}

/** Where one partition began, and how much it read. */
export interface BacktestStart {
  readonly partition: number;
  /** Position of the snapshot; 0: the log's beginning. */
  readonly sequence: number;
  /** Its watermark, ms; null at the log's beginning. */
  readonly watermarkMs: number | null;
  readonly messages: number;
}

export interface Moved {
  readonly before: Alert;
  readonly after: Alert;
}

export interface Backtest {
  readonly starts: readonly BacktestStart[];
  /** Raised now, not then. */
  readonly gained: readonly Alert[];
  /** Raised then, not now. */
  readonly lost: readonly Alert[];
  /** The same fingerprint in another window, which overlaps. */
  readonly moved: readonly Moved[];
  readonly same: number;
  /** Alerts of models that had seen too little: left out. */
  readonly warmingUp: number;
}

/**
 * Runs a pipeline again over a part of its log and compares the alerts with those that were raised. Each partition begins with its
 * newest kept snapshot before `fromMs` that the program can load, else at the log's beginning. Control messages are taken as logged,
 * but for `settings`. Writes nothing.
 *
 * Cost: as much reading and computing as the part took, and the time between the snapshot and `fromMs`.
 * Errors: MR_OPTION_INVALID for a setting nothing listens to or a pipeline that raises no alerts; MR_LOG_UNAVAILABLE.
 */
export async function backtest(options: BacktestOptions): Promise<Backtest> {
  const { pipeline, partitions, settings } = options;
  if (!pipeline.writes.includes(ALERTS))
    throw new MillraceError("MR_OPTION_INVALID", `back-testing ${pipeline.name}: it raises no alerts`);
  checkSettings(pipeline, settings);
  const starts: BacktestStart[] = [];
  const now: Alert[] = [];
  let warmingUp = 0;
  for (let partition = 0; partition < partitions; partition++) {
    const { start, alerts, coldUntilMs } = await runPartition(options, partition);
    starts.push(start);
    for (const alert of alerts.filter((each) => isWithin(each, options))) {
      if (timeOf(alert) < coldUntilMs) warmingUp++;
      else now.push(alert);
    }
  }
  return { starts, warmingUp, ...compareAlerts(await raised(options), now) };
}

/** Pairs what was raised with what is raised now: by fingerprint and window, then by fingerprint and windows that overlap. */
export function compareAlerts(
  stored: readonly Alert[],
  computed: readonly Alert[],
): Pick<Backtest, "gained" | "lost" | "moved" | "same"> {
  const before = byPlace(stored);
  const after = byPlace(computed);
  const lost = [...before].filter(([place]) => !after.has(place)).map(([, alert]) => alert);
  const gained = [...after].filter(([place]) => !before.has(place)).map(([, alert]) => alert);
  const same = before.size - lost.length;
  const moved: Moved[] = [];
  for (const alert of [...lost]) {
    const distance = (other: Alert) => Math.abs(startOf(other) - startOf(alert));
    const candidates = gained.filter((other) => other.fingerprint === alert.fingerprint && overlap(other, alert));
    const nearest = candidates.sort((a, b) => distance(a) - distance(b))[0];
    if (nearest === undefined) continue;
    moved.push({ before: alert, after: nearest });
    gained.splice(gained.indexOf(nearest), 1);
    lost.splice(lost.indexOf(alert), 1);
  }
  return { gained, lost, moved, same };
}

/** The first revision of each alert and window, by both. */
function byPlace(alerts: readonly Alert[]): Map<string, Alert> {
  const places = new Map<string, Alert>();
  for (const alert of alerts) {
    const place = `${alert.fingerprint} ${alert.window.start} ${alert.window.end}`;
    if (!places.has(place)) places.set(place, alert);
  }
  return places;
}

async function runPartition(options: BacktestOptions, partition: number) {
  const { pipeline, partitions, log, settings, toMs } = options;
  const { source } = pipeline;
  const begun = await begin(options, partition);
  const { program, sequence } = begun;
  const alerts: Alert[] = [];
  const apply = (message: LogMessage, ahead: unknown): void =>
    program.apply(message, ahead, ({ stream, record }) => {
      if (stream === ALERTS && "schema" in record && record.schema === "millrace.alert/1") alerts.push(record as Alert);
    });
  for (const [kind, body] of settings) {
    const data = Buffer.from(JSON.stringify(body));
    apply({ sequence, subject: `${source}.${partition}._ctl.${kind}`, data, header: () => undefined }, undefined);
  }
  let messages = 0;
  let coldUntilMs = Number.NEGATIVE_INFINITY;
  const input = { stream: source, partition, partitions, fromSequence: sequence + 1 };
  for await (const slice of storedPartition(log, input)) {
    const changed = slice.map((message) => withSettings(message, settings));
    const ahead = program.lookAhead ? await program.lookAhead(changed) : [];
    for (const [i, message] of changed.entries()) apply(message, ahead[i]);
    messages += slice.length;
    const watermarkMs = program.watermarkMs() ?? Number.NEGATIVE_INFINITY;
    if (begun.isCold && coldUntilMs === Number.NEGATIVE_INFINITY) coldUntilMs = watermarkMs + WARM_UP_MS;
    if (watermarkMs >= toMs) break;
  }
  return { start: { partition, sequence, watermarkMs: begun.watermarkMs, messages }, alerts, coldUntilMs };
}

/** The newest kept snapshot that lies before the range, fits the program, and from which on the log is whole. */
async function begin(options: BacktestOptions, partition: number) {
  const { pipeline, log, objects, registers, fromMs } = options;
  const task = `${pipeline.name}/${partition}`;
  const { incarnation, firstSequence } = await log.info(pipeline.source);
  const create = (): Program => pipeline.create({ ...options, task, partition });
  const { pointer } = await readPointer(registers, task);
  const kept = pointer?.incarnation === incarnation ? pointer.kept : [];
  for (const { sequence, object, watermarkMs } of [...kept].reverse()) {
    if (watermarkMs === null || watermarkMs > fromMs || sequence + 1 < firstSequence) continue;
    const state = await objects.get(object);
    const program = create();
    if (state !== undefined && fits(program, state)) return { program, sequence, watermarkMs, isCold: false };
  }
  return { program: create(), sequence: 0, watermarkMs: null, isCold: firstSequence > 1 };
}

function fits(program: Program, state: Uint8Array): boolean {
  try {
    program.load(state);
    return true;
  } catch (error) {
    if (isMillraceError(error, "MR_STATE_INCOMPATIBLE")) return false;
    throw error;
  }
}

/** Alerts of the pipeline as they stand in the log. */
async function raised(options: BacktestOptions): Promise<readonly Alert[]> {
  const { pipeline, log } = options;
  const found: Alert[] = [];
  const subject = `${ALERTS}.*.*`; // markers have more tokens
  for await (const slice of storedMessages(log, { stream: ALERTS, subject, fromSequence: 1 })) {
    for (const { data } of slice) {
      for (const line of Buffer.from(data).toString().split("\n")) {
        const alert = JSON.parse(line) as Alert;
        if (alert.pipeline === pipeline.name && isWithin(alert, options)) found.push(alert);
      }
    }
  }
  return found;
}

function withSettings(message: LogMessage, settings: BacktestOptions["settings"]): LogMessage {
  const kind = /\._ctl\.([^.]+)$/.exec(message.subject)?.[1];
  const ours = kind === undefined ? undefined : settings.get(kind);
  if (ours === undefined) return message;
  const logged = JSON.parse(Buffer.from(message.data).toString()) as object;
  const { sequence, subject } = message;
  return {
    sequence,
    subject,
    data: Buffer.from(JSON.stringify({ ...logged, ...ours })),
    header: (name) => message.header(name),
  };
}

/** A pipeline says in its steps which control messages it listens to. */
function checkSettings({ name, steps }: Pipeline, settings: BacktestOptions["settings"]): void {
  const kinds = steps.flatMap(({ detail }) => /^(?:table of )?_ctl\.(\S+)$/.exec(detail)?.[1] ?? []);
  for (const kind of settings.keys()) {
    if (kinds.includes(kind)) continue;
    const known = kinds.length === 0 ? "no control messages" : `the control messages ${kinds.join(", ")}`;
    throw new MillraceError("MR_OPTION_INVALID", `back-testing ${name}: it listens to ${known}, not to ${kind}`);
  }
}

function isWithin(alert: Alert, { fromMs, toMs }: BacktestOptions): boolean {
  const timeMs = timeOf(alert);
  return timeMs >= fromMs && timeMs < toMs;
}

function timeOf({ ts }: Alert): number {
  return parseTimeMs(ts) ?? Number.NaN;
}

function startOf({ window }: Alert): number {
  return parseTimeMs(window.start) ?? Number.NaN;
}

function overlap(a: Alert, b: Alert): boolean {
  const endOf = ({ window }: Alert) => parseTimeMs(window.end) ?? Number.NaN;
  return startOf(a) < endOf(b) && startOf(b) < endOf(a);
}
