import type { HttpRoute, Log } from "../../core/index.js";
import type { TracedLogOptions } from "./traced-log.js";

/** How one thread takes part in traces. */
export interface Tracing {
  /** The same log, passing traces on. */
  log(log: Log, options: Pick<TracedLogOptions, "verb" | "roots" | "sourceOf">): Log;
  /** The same route, each request a span; what it publishes in a log of this tracing belongs to it. */
  route(route: HttpRoute): HttpRoute;
  /** Sends what is left, for at most two seconds. Never rejects. */
  close(): Promise<void>;
}

/** Nothing is traced: everything as it is, at no cost. */
export const NO_TRACING: Tracing = { log: (log) => log, route: (route) => route, close: async () => undefined };

/**
 * Traces as the environment says, by OpenTelemetry's names: `OTEL_EXPORTER_OTLP_ENDPOINT` turns them on (JSON over HTTP),
 * `OTEL_TRACES_SAMPLER_ARG` is the share of traces kept, `OTEL_SERVICE_NAME`, `OTEL_EXPORTER_OTLP_HEADERS` and the others of the
 * exporter count too. Without an endpoint nothing is loaded. Errors: MR_OPTION_INVALID for a share that is none.
 */
export async function openTracing(env: NodeJS.ProcessEnv): Promise<Tracing> {
  const endpoint = env["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"] || env["OTEL_EXPORTER_OTLP_ENDPOINT"];
  if (!endpoint || env["OTEL_SDK_DISABLED"] === "true") return NO_TRACING;
  const { startTracing } = await import("./sdk.js");
  return startTracing(env);
}
