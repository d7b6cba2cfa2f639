import { monitorEventLoopDelay } from "node:perf_hooks";
import { Counter, Gauge, Histogram, type Registry } from "prom-client";
import type { Logger } from "../core/index.js";
import type { DropReason } from "./protocol.js";

/** A counter or gauge kept elsewhere (another thread), as a set of values at this moment. */
export interface ForeignMetric {
  /** `millrace_<noun>_<unit>_total` for counters. */
  readonly name: string;
  readonly help: string;
  readonly type: "counter" | "gauge";
  readonly samples: readonly { readonly labels?: Readonly<Record<string, string>>; readonly value: number }[];
}

/** Why a connection ended, as a label. */
export type CloseReason =
  | "client"
  | "slow"
  | "rate"
  | "replaced"
  | "shutdown"
  | "protocol"
  | "expired"
  | "forbidden"
  | "lost";

export interface GatewayMetrics {
  opened(): void;
  closed(reason: CloseReason): void;
  message(): void;
  error(code: string): void;
  subscriptions(channel: string, change: 1 | -1): void;
  frames(channel: string, count: number, bytes: number): void;
  /** Events a delivery class left out, each counted once for each client that did not get it. */
  dropped(channel: string, reason: DropReason, count: number): void;
  /** How far a client said it is behind what it was sent, in offsets. */
  unseen(channel: string, offsets: number): void;
  recovery(result: "recovered" | "lost"): void;
  /** A record of the log that is not JSON and was shown to nobody. */
  skipped(channel: string): void;
  request(route: string, status: number): void;
  /** An entry of the audit stream. */
  audited(result: string): void;
  /** Prometheus text. Foreign metrics that fail to arrive are left out and logged. */
  text(): Promise<string>;
  close(): void;
}

export function createMetrics(
  registry: Registry,
  collect: (() => Promise<readonly ForeignMetric[]>) | undefined,
  logger: Logger,
): GatewayMetrics {
  const registers = [registry];
  const counter = <Label extends string>(name: string, help: string, labelNames: Label[]) =>
    new Counter({ name, help, labelNames, registers });
  const connections = new Gauge({ name: "millrace_ws_connections", help: "Open WebSocket connections", registers });
  const opened = counter("millrace_ws_connections_total", "WebSocket connections accepted", []);
  const closed = counter("millrace_ws_closed_total", "WebSocket connections ended, by reason", ["reason"]);
  const messages = counter("millrace_ws_messages_total", "Frames received from clients", []);
  const errors = counter("millrace_ws_errors_total", "Error frames sent, by code", ["code"]);
  const subscriptions = new Gauge({
    name: "millrace_ws_subscriptions",
    help: "Subscriptions in force, by channel",
    labelNames: ["channel"],
    registers,
  });
  // Added up here and told when asked: a counter costs more than everything else we do for a frame.
  const sentOn = new Map<string, { frames: number; bytes: number }>();
  const told = (name: string, help: string, pick: (sent: { frames: number; bytes: number }) => number) =>
    new Counter({
      name,
      help,
      labelNames: ["channel"],
      registers,
      collect() {
        this.reset();
        for (const [channel, sent] of sentOn) this.inc({ channel }, pick(sent));
      },
    });
  told("millrace_ws_frames_total", "Event frames sent, by channel", ({ frames }) => frames);
  told("millrace_ws_bytes_total", "Bytes of event frames sent, by channel", ({ bytes }) => bytes);
  const recoveries = counter("millrace_ws_recoveries_total", "Subscriptions with since, by result", ["result"]);
  const unseen = new Histogram({
    name: "millrace_ws_unseen_offsets",
    help: "How far clients say they are behind what they were sent, at each heartbeat",
    labelNames: ["channel"],
    buckets: [0, 1, 10, 100, 1_000, 10_000, 100_000],
    registers,
  });
  const skipped = counter("millrace_ws_skipped_records_total", "Records that are not JSON", ["channel"]);
  const dropped = counter("millrace_ws_dropped_events_total", "Events a delivery class left out, by client", [
    "channel",
    "reason",
  ]);
  const requests = counter("millrace_http_requests_total", "Answers, by route and status", ["route", "status"]);
  const audited = counter("millrace_access_decisions_total", "Authenticated calls and refusals, by result", ["result"]);
  const stopProcess = processMetrics(registry);
  return {
    opened() {
      connections.inc();
      opened.inc();
    },
    closed(reason) {
      connections.dec();
      closed.inc({ reason });
    },
    message: () => messages.inc(),
    error: (code) => errors.inc({ code }),
    subscriptions: (channel, change) => subscriptions.inc({ channel }, change),
    frames(channel, count, size) {
      let sent = sentOn.get(channel);
      if (!sent) {
        sent = { frames: 0, bytes: 0 };
        sentOn.set(channel, sent);
      }
      sent.frames += count;
      sent.bytes += size;
    },
    dropped: (channel, reason, count) => dropped.inc({ channel, reason }, count),
    unseen: (channel, offsets) => unseen.observe({ channel }, offsets),
    recovery: (result) => recoveries.inc({ result }),
    skipped: (channel) => skipped.inc({ channel }),
    request: (route, status) => requests.inc({ route, status: String(status) }),
    audited: (result) => audited.inc({ result }),
    async text() {
      const foreign =
        (await collect?.().catch((err: unknown) => logger.warn({ err }, "metrics of other threads failed"))) ?? [];
      return (await registry.metrics()) + foreign.map(renderMetric).join("");
    },
    close: stopProcess,
  };
}

/** Memory and event loop of this process. The lag is the distribution since the last reading. */
function processMetrics(registry: Registry): () => void {
  const registers = [registry];
  // Each look wakes the process.
  const delay = monitorEventLoopDelay({ resolution: 100 });
  delay.enable();
  new Gauge({
    name: "millrace_process_rss_bytes",
    help: "Resident memory of the process, all threads",
    registers,
    collect() {
      this.set(process.memoryUsage.rss());
    },
  });
  new Gauge({
    name: "millrace_event_loop_lag_seconds",
    help: "How late the main thread's timers run, since the last reading",
    labelNames: ["quantile"],
    registers,
    collect() {
      for (const quantile of [0.5, 0.99, 1]) {
        const ns = delay.count === 0 ? 0 : delay.percentile(quantile * 100);
        this.set({ quantile }, ns / 1e9);
      }
      delay.reset();
    },
  });
  return () => delay.disable();
}

function renderMetric({ name, help, type, samples }: ForeignMetric): string {
  const lines = samples.map(({ labels = {}, value }) => {
    const pairs = Object.entries(labels).map(
      ([label, text]) => `${label}="${escapeText(text).replaceAll('"', '\\"')}"`,
    );
    return `${name}${pairs.length === 0 ? "" : `{${pairs.join(",")}}`} ${value}\n`;
  });
  return `\n# HELP ${name} ${escapeText(help)}\n# TYPE ${name} ${type}\n${lines.join("")}`;
}

function escapeText(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
}
