import { isMillraceError, type Leases, type Pipeline, type StreamSpec } from "../../src/core/index.js";
import { type Pointer, readPointer, repartition, resetPointer } from "../../src/runtime/index.js";
import type { SinkTask, TableSink } from "../../src/sinks/index.js";
import { judge, SUNK } from "./judge.js";
import { Owners } from "./owners.js";
import { Broker, matches } from "./world/broker.js";
import { Database, type DatabaseFaults, simulatedSink } from "./world/database.js";
import { Door } from "./world/door.js";
import { type Fault, type Plan, planOf, SINK } from "./world/faults.js";
import { type Ports, simulatedPorts } from "./world/ports.js";
import { PERFECT, Process } from "./world/process.js";
import { type SimEvent, simPipelines } from "./world/programs.js";
import { type Random, seeded } from "./world/random.js";
import { Scheduler } from "./world/scheduler.js";
import { startSinks } from "./world/sinks.js";
import { startWorker, type Worker } from "./world/worker.js";

const DERIVED = ["features", "alerts", "final", "dead", "late"];
const STREAMS = ["input", ...DERIVED];
const MAX_BYTES = 64 * 1024 * 1024;
/** Virtual time in which everything must have come to rest after the faults have ended. */
const PATIENCE_MS = 60_000;
const LOOK_MS = 100;
/** Everything must seem to be at rest at so many looks in a row. */
const SETTLED_LOOKS = 3;

const CALM_DATABASE: DatabaseFaults = { refuses01: 0, answerLost01: 0, delayMsMost: 5, isRemote: false, late01: 0 };

/** A way to be wrong, put between the runtime and its world. */
export interface Bug {
  readonly name: string;
  ports?(ports: Ports, world: { readonly random: Random; readonly process: Process }): Ports;
  leases?(leases: Leases): Leases;
  pipeline?(pipeline: Pipeline, world: { readonly random: Random }): Pipeline;
  door?(ports: Ports): Ports;
  sink?(sink: TableSink): TableSink;
  /** Of the process that changes the partitions. */
  operator?(ports: Ports): Ports;
  sinkPorts?(ports: Ports): Ports;
  /** Worlds in which it matters, for one that few worlds would show. */
  plan?(plan: Plan): Plan;
  /** Called before each world. */
  begin?(): void;
}

export interface Outcome {
  readonly seed: number;
  /** Empty: every invariant held. */
  readonly problems: readonly string[];
  readonly trace: readonly string[];
  /** What happened, for figures. */
  readonly counts: { readonly events: number; readonly lives: number; readonly outputs: number };
}

/** Lives through one seed's world and judges it. The same seed gives the same outcome, to the byte. */
export async function simulate(
  seed: number,
  { bug, traced = false }: { bug?: Bug; traced?: boolean } = {},
): Promise<Outcome> {
  bug?.begin?.();
  const world = new World(seed, bug, traced);
  const { random } = Math;
  const { any } = AbortSignal;
  Math.random = seeded(seed).next; // the jitter of the sink's retries
  AbortSignal.any = anyOf;
  try {
    await world.live();
    return world.outcome();
  } finally {
    Math.random = random;
    AbortSignal.any = any;
  }
}

/** Node's own keeps a signal for as long as somebody listens to it: dead processes listen for ever, and each world would stay, half a MB. */
function anyOf(signals: Iterable<AbortSignal>): AbortSignal {
  const either = new AbortController();
  for (const signal of signals) {
    if (signal.aborted) either.abort(signal.reason);
    else signal.addEventListener("abort", () => either.abort(signal.reason), { once: true });
  }
  return either.signal;
}

class World {
  readonly #seed: number;
  readonly #bug: Bug | undefined;
  readonly #isTraced: boolean;
  readonly #trace: string[] = [];
  readonly #problems: string[] = [];
  readonly #scheduler = new Scheduler();
  readonly #broker = new Broker();
  readonly #random: Random;
  readonly #plan: Plan;
  /** Everybody's, until the faults end. */
  readonly #network: Plan["network"];
  readonly #owners: Owners;
  readonly #workers: (Worker | undefined)[] = [];
  readonly #acknowledged: SimEvent[] = [];
  readonly #database = new Database();
  #sinkProcess: Process | undefined;
  #sinkTasks: readonly SinkTask[] = [];
  #version: 1 | 2 = 1;
  #lives = 0;
  #partitions: number;
  /** During a repartition nobody may start. */
  #isResting = false;
  #isCalm = false;
  #isEnding = false;
  #wasRecreated = false;
  #isWhole = true;

  constructor(seed: number, bug: Bug | undefined, isTraced: boolean) {
    this.#seed = seed;
    this.#bug = bug;
    this.#isTraced = isTraced;
    this.#random = seeded(seed);
    const plan = planOf(this.#random);
    this.#plan = bug?.plan?.(plan) ?? plan;
    this.#network = { ...this.#plan.network };
    this.#partitions = this.#plan.partitions;
    this.#broker.partitions = this.#partitions;
    this.#owners = new Owners(
      (problem) => this.#problem(problem),
      (line) => this.#say(line),
    );
    this.#broker.observer = this.#owners;
  }

  outcome(): Outcome {
    const outputs = [...this.#broker.streams.values()].reduce((sum, { archive }) => sum + archive.length, 0);
    const counts = { events: this.#scheduler.events, lives: this.#lives, outputs };
    return { seed: this.#seed, problems: this.#problems, trace: this.#trace, counts };
  }

  async live(): Promise<void> {
    const { untilMs, workers, faults } = this.#plan;
    this.#say(`seed ${this.#seed}: ${JSON.stringify(this.#plan)}`);
    for (const name of STREAMS) this.#broker.ensureStream(specOf(name, MAX_BYTES));
    const door = this.#openDoor();
    for (let i = 0; i < workers; i++) this.#scheduler.after(this.#random.next() * 500, () => this.#start(i));
    this.#startSinks();
    for (const fault of faults) this.#scheduler.after(fault.atMs, () => this.#do(fault));
    this.#scheduler.after(LOOK_MS, () => this.#look());
    await this.#scheduler.run(untilMs);
    this.#isCalm = true; // whoever starts from here on does not die
    Object.assign(this.#network, { ...PERFECT, delayMsMost: this.#plan.network.delayMsMost });
    this.#say("the faults end");
    this.#broker.isUp = true;
    this.#database.isUp = true;
    const enoughMs = untilMs + PATIENCE_MS;
    await this.#scheduler.run(enoughMs, () => door.isDone && !this.#isResting && this.#broker.underWay === 0);
    door.finish();
    const isSettled = this.#often(() => door.isDone && this.#isSettled() && this.#hasSunk());
    await this.#scheduler.run(enoughMs, isSettled);
    if (!this.#isSettled()) this.#problem(`stuck: ${this.#whatWaits()}`);
    else if (!this.#hasSunk()) this.#problem("stuck: the sink");
    this.#isEnding = true;
    for (const worker of this.#workers) worker?.stop();
    await this.#scheduler.run(enoughMs + PATIENCE_MS, () => this.#workers.every((worker) => worker?.isStopped ?? true));
    if (this.#problems.length > 0) return;
    const pointers = await this.#pointers();
    const evidence = {
      broker: this.#broker,
      database: this.#database,
      acknowledged: this.#acknowledged,
      pointers,
    };
    for (const problem of judge({ ...evidence, isWhole: this.#isWhole })) this.#problem(problem);
  }

  /** The process with the database; when it dies, the next one opens what it left. */
  #startSinks(): void {
    if (this.#isResting || this.#sinkProcess?.isAlive) return;
    const random = seeded(this.#random.between(0, 2 ** 30));
    const { deathChance01, deathWithin, database } = this.#plan;
    const dies = !this.#isCalm && random.chance(deathChance01);
    const process = this.#process(`sink.${++this.#lives}`, random, this.#network, {
      ...(dies && { dieAt: random.between(1, deathWithin) }),
      onDeath: () => this.#scheduler.after(random.between(50, 1_500), () => this.#startSinks()),
    });
    this.#sinkProcess = process;
    const scheduler = this.#scheduler;
    const faults = () => (this.#isCalm ? CALM_DATABASE : database);
    const sink = simulatedSink({ database: this.#database, process, scheduler, random, faults });
    const ports = simulatedPorts(process, scheduler, random);
    this.#sinkTasks = startSinks({
      process,
      ports: this.#bug?.sinkPorts?.(ports) ?? ports,
      sink: this.#bug?.sink?.(sink) ?? sink,
      streams: SUNK.map(([stream]) => stream),
      trace: (line) => this.#say(line),
      onFailure: (error) => {
        // What was destroyed is not there to copy; anything else is a failure of the sink.
        if (this.#isWhole) this.#problem(`a sink failed: ${error instanceof Error ? error.stack : error}`);
      },
    });
  }

  #hasSunk(): boolean {
    return (
      !this.#isWhole ||
      (this.#database.underWay === 0 &&
        this.#sinkTasks.every((task, i) => {
          const stream = this.#broker.stream(SUNK[i]?.[0] ?? "");
          const last =
            stream.archive.slice(stream.born).findLast(({ subject }) => !subject.includes("._at."))?.sequence ?? 0;
          return task.position() >= last;
        }))
    );
  }

  #openDoor(): Door {
    const { untilMs, messages, faults } = this.#plan;
    const announces = faults.every(({ kind }) => kind !== "repartition");
    const partitions = () => this.#partitions;
    const random = seeded(this.#random.between(0, 2 ** 30));
    const process = this.#process("door", random, this.#network);
    const ports = simulatedPorts(process, this.#scheduler, random);
    const { log } = this.#bug?.door?.(ports) ?? ports;
    const onAcknowledged = (events: readonly SimEvent[]) => void this.#acknowledged.push(...events);
    const scheduler = this.#scheduler;
    return new Door({ process, log, scheduler, random, partitions, announces, untilMs, messages, onAcknowledged });
  }

  #process(
    name: string,
    random: Random,
    faults: Plan["network"],
    more: { dieAt?: number; onDeath?: () => void } = {},
  ): Process {
    const clock = { skewMs: random.between(-3_000, 3_000), rate: 0.95 + 0.1 * random.next() };
    const trace = (line: string) => this.#say(line);
    return new Process({
      name,
      scheduler: this.#scheduler,
      broker: this.#broker,
      random,
      faults,
      clock,
      trace,
      ...more,
    });
  }

  #start(i: number): void {
    if (this.#isEnding || this.#isResting || this.#workers[i] !== undefined) return;
    const partitions = this.#partitions;
    const { deathChance01, deathWithin } = this.#plan;
    const random = seeded(this.#random.between(0, 2 ** 30));
    const dies = !this.#isCalm && random.chance(deathChance01);
    const process = this.#process(`w${i}.${++this.#lives}`, random, this.#network, {
      ...(dies && { dieAt: random.between(1, deathWithin) }),
      onDeath: () => {
        if (this.#workers[i]?.process !== process) return; // one that slept through a repartition
        this.#workers[i] = undefined;
        this.#scheduler.after(random.between(50, 2_500), () => this.#start(i));
      },
    });
    this.#say(`${process.name} starts, version ${this.#version}`);
    const ports = simulatedPorts(process, this.#scheduler, random);
    const pipelines = simPipelines(this.#version, partitions).map(
      (pipeline) => this.#bug?.pipeline?.(pipeline, { random }) ?? pipeline,
    );
    this.#workers[i] = startWorker({
      process,
      ports: this.#bug?.ports?.(ports, { random, process }) ?? ports,
      pipelines,
      partitions,
      wrapLeases: (leases) => this.#bug?.leases?.(leases) ?? leases,
      trace: (line) => this.#say(line),
      onFailure: (error) => this.#problem(`${process.name} failed: ${error instanceof Error ? error.stack : error}`),
    });
  }

  #do(fault: Fault): void {
    this.#say(`fault: ${JSON.stringify(fault)}`);
    const worker = "worker" in fault ? (this.#workers[fault.worker]?.process ?? this.#sinkOf(fault.worker)) : undefined;
    if (fault.kind === "kill") worker?.kill();
    else if (fault.kind === "pause") worker?.pause(fault.forMs);
    else if (fault.kind === "restart") this.#restart(fault.worker);
    else if (fault.kind === "new program") this.#upgrade();
    else if (fault.kind === "purge") this.#purge();
    else if (fault.kind === "broker down") {
      this.#broker.isUp = false;
      this.#scheduler.after(fault.forMs, () => {
        this.#broker.isUp = true;
      });
    } else if (fault.kind === "database down") {
      this.#database.isUp = false;
      this.#scheduler.after(fault.forMs, () => {
        this.#database.isUp = true;
      });
    } else if (fault.kind === "streams full") this.#fill(fault.forMs);
    else if (fault.kind === "repartition") this.#rest(fault.to);
    else if (fault.kind === "recreate input") this.#recreate();
    else this.#wipe();
  }

  #sinkOf(worker: number): Process | undefined {
    return worker === SINK ? this.#sinkProcess : undefined;
  }

  #restart(i: number): void {
    const worker = this.#workers[i];
    if (worker === undefined) return;
    worker.stop();
    const look = () => {
      if (this.#workers[i] !== worker) return;
      if (!worker.isStopped) this.#scheduler.after(LOOK_MS, look);
      else worker.process.kill(); // starts the next one
    };
    look();
  }

  /** Old ones and new ones meet for a while. */
  #upgrade(): void {
    this.#version = 2;
    this.#workers.forEach((_worker, i) => this.#scheduler.after(this.#random.next() * 2_000, () => this.#restart(i)));
  }

  /** An operator ends all processes. One that is paused does not answer: it counts as ended, and wakes up later. */
  #rest(to: number): void {
    this.#isResting = true;
    this.#owners.relaid();
    for (const worker of this.#workers) worker?.stop();
    this.#sinkProcess?.kill();
    const look = () => {
      const isOver = (worker: Worker | undefined) =>
        worker === undefined || worker.isStopped || worker.process.isPaused;
      if (!this.#workers.every(isOver)) return this.#scheduler.after(LOOK_MS, look);
      for (const [i, worker] of this.#workers.entries()) {
        this.#workers[i] = undefined;
        if (worker?.isStopped) worker.process.kill();
      }
      this.#repartition(to, true);
    };
    look();
  }

  /** The command may be killed anywhere; the operator gives it again until it has done its work. */
  #repartition(to: number, mayDie: boolean): void {
    const random = seeded(this.#random.between(0, 2 ** 30));
    const again = () => this.#scheduler.after(random.between(50, 500), () => this.#repartition(to, random.chance(0.5)));
    const process = this.#process("operator", random, PERFECT, {
      ...(mayDie && !this.#isCalm && { dieAt: random.between(1, 30) }),
      onDeath: again,
    });
    const ports = simulatedPorts(process, this.#scheduler, random);
    const inputs = [specOf("input", MAX_BYTES)];
    const derived = DERIVED.map((name) => ({ name, subjects: [`${name}.>`] }));
    const bugged = this.#bug?.operator?.(ports) ?? ports;
    repartition({ ...bugged, partitions: to, inputs, derived, followers: [] }).then(
      () => {
        this.#say(`${to} partitions`);
        this.#partitions = to;
        this.#isResting = false;
        for (let i = 0; i < this.#plan.workers; i++) this.#start(i);
        this.#startSinks();
      },
      (error: unknown) => {
        this.#say(`the repartition failed: ${error instanceof Error ? error.message : error}`);
        if (!isMillraceError(error) || error.disposition !== "retry") this.#problem(`the repartition failed: ${error}`);
        else again();
      },
    );
  }

  /** As the keeper may: what every snapshot has behind it, in all partitions, and what a sink can at most have said that it saved. */
  #purge(): void {
    if (this.#isResting) return;
    const committed = simPipelines(1, this.#partitions).flatMap(({ name, source }) =>
      Array.from({ length: this.#partitions }, (_, partition) => {
        const stored = this.#broker.getRegister(`snapshot/${name}/${partition}`);
        const pointer = stored && (JSON.parse(Buffer.from(stored.value).toString()) as Pointer);
        const isOfThisLog = pointer?.incarnation === this.#broker.info(source).incarnation;
        return { source, sequence: isOfThisLog ? (pointer.kept.at(-1)?.sequence ?? 0) : 0 };
      }),
    );
    for (const stream of ["input", "features"]) {
      const through = Math.min(...committed.filter(({ source }) => source === stream).map(({ sequence }) => sequence));
      const { lastSequence, incarnation } = this.#broker.info(stream);
      const sunk = stream === "features" ? this.#database.progress(stream, incarnation) : lastSequence;
      this.#broker.purge(stream, Math.min(through, sunk, lastSequence));
    }
  }

  #fill(forMs: number): void {
    for (const stream of this.#broker.streams.values()) Object.assign(stream.spec, { maxBytes: stream.bytes + 300 });
    this.#scheduler.after(forMs, () => {
      for (const stream of this.#broker.streams.values()) Object.assign(stream.spec, { maxBytes: MAX_BYTES });
    });
  }

  #recreate(): void {
    this.#broker.recreate("input");
    this.#wasRecreated = true;
    this.#isWhole = false;
  }

  #wipe(): void {
    this.#broker.wipe();
    this.#owners.forget();
    this.#wasRecreated = true;
    this.#isWhole = false;
  }

  /** What an operator would see and do: a recreated stream stops its tasks, and somebody accepts the loss. */
  #look(): void {
    this.#scheduler.after(LOOK_MS, () => this.#look());
    if (!this.#wasRecreated) return;
    for (const worker of this.#workers) {
      for (const task of worker?.tasks ?? []) {
        const { state, reason, source } = task.status();
        if (state !== "failed" || !reason?.startsWith("broker lost acknowledged data")) continue;
        this.#say(`the operator resets ${task.name}`);
        const { incarnation } = this.#broker.info(source);
        const random = seeded(1);
        const { registers } = simulatedPorts(this.#process("operator", random, PERFECT), this.#scheduler, random);
        resetPointer(registers, task.name, { incarnation, keep: () => false }).catch(() => undefined); // looks again
      }
    }
  }

  /** Looked at only now and then, and true only when it was so for a while: who was replaced may not know it yet. */
  #often(check: () => boolean): () => boolean {
    let nextMs = 0;
    let times = 0;
    return () => {
      if (this.#scheduler.nowMs < nextMs) return false;
      nextMs = this.#scheduler.nowMs + 2 * LOOK_MS;
      times = check() ? times + 1 : 0;
      return times >= SETTLED_LOOKS;
    };
  }

  #isSettled(): boolean {
    return !this.#isResting && this.#lagging().length === 0;
  }

  #lagging(): readonly string[] {
    const partitions = this.#partitions;
    const awake = this.#workers.filter((worker) => worker !== undefined && !worker.process.isPaused);
    return simPipelines(1, partitions).flatMap(({ name, source }) =>
      Array.from({ length: partitions }, (_, partition) => {
        const { archive, born } = this.#broker.stream(source);
        const last =
          archive.slice(born).findLast(({ subject }) => matches(`${source}.${partition}.>`, subject))?.sequence ?? 0;
        const tasks = awake.flatMap(
          (worker) => worker?.tasks.filter((task) => task.name === `${name}/${partition}`) ?? [],
        );
        const isThere = tasks.some((task) => task.status().state === "running" && task.status().position >= last);
        return isThere
          ? []
          : [`${name}/${partition} of ${last}: ${JSON.stringify(tasks.map((task) => task.status()))}`];
      }).flat(),
    );
  }

  #whatWaits(): string {
    return this.#lagging().join("; ");
  }

  async #pointers(): Promise<ReadonlyMap<string, Pointer>> {
    const found = new Map<string, Pointer>();
    const registers = {
      get: async (key: string) => this.#broker.getRegister(key),
    } as unknown as Ports["registers"];
    for (const { name } of simPipelines(1, this.#partitions)) {
      for (let partition = 0; partition < this.#partitions; partition++) {
        const { pointer } = await readPointer(registers, `${name}/${partition}`);
        if (pointer !== undefined) found.set(`${name}/${partition}`, pointer);
      }
    }
    return found;
  }

  #problem(problem: string): void {
    this.#say(`PROBLEM: ${problem}`);
    this.#problems.push(problem);
  }

  #say(line: string): void {
    if (this.#isTraced) this.#trace.push(`${this.#scheduler.nowMs.toFixed(1).padStart(9)} ${line}`);
  }
}

function specOf(name: string, maxBytes: number): StreamSpec {
  return { name, subjects: [`${name}.>`], maxBytes };
}
