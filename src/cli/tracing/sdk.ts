import { AsyncLocalStorage } from "node:async_hooks";
import { ROOT_CONTEXT, type SpanContext, SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { BatchSpanProcessor, TraceIdRatioBasedSampler, TracerProvider } from "@opentelemetry/sdk-trace";
import { type HttpRoute, MillraceError } from "../../core/index.js";
import { tracedLog } from "./traced-log.js";
import { readTraceparent, TRACEPARENT } from "./traceparent.js";
import type { Tracing } from "./tracing.js";

/** At thousands of events a second a hundredth shows where time goes. */
const RATIO = 0.01;
const CLOSE_MS = 2_000;

/** Loads OpenTelemetry and starts to send spans. The exporter reads its own options from the environment of the process. */
export function startTracing(env: NodeJS.ProcessEnv): Tracing {
  const provider = new TracerProvider({
    resource: resourceFromAttributes({ "service.name": env["OTEL_SERVICE_NAME"] || "millrace" }),
    // By the trace's id alone: every thread and process decides alike, and no caller decides for us.
    sampler: new TraceIdRatioBasedSampler(ratioOf(env["OTEL_TRACES_SAMPLER_ARG"])),
    spanProcessors: [new BatchSpanProcessor({ exporter: new OTLPTraceExporter(), scheduledDelayMillis: 1_000 })],
  });
  const tracer = provider.getTracer("millrace");
  const requests = new AsyncLocalStorage<SpanContext>();
  return {
    log: (log, options) => tracedLog(log, { ...options, tracer, current: () => requests.getStore() }),
    route: (route) => ({ ...route, handle: (request) => answer(route, request) }),
    async close() {
      const timeout = new Promise((resolve) => setTimeout(resolve, CLOSE_MS).unref());
      await Promise.race([provider.shutdown().catch(() => undefined), timeout]);
    },
  };

  function answer(route: HttpRoute, request: Parameters<HttpRoute["handle"]>[0]): ReturnType<HttpRoute["handle"]> {
    const { method, path } = route;
    const parent = readTraceparent(request.header(TRACEPARENT));
    const span = tracer.startSpan(
      `${method} ${path}`,
      { kind: SpanKind.SERVER, attributes: { "http.request.method": method, "http.route": path } },
      parent === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, parent),
    );
    return requests.run(span.spanContext(), async () => {
      try {
        const reply = await route.handle(request);
        span.setAttribute("http.response.status_code", reply.status);
        return reply;
      } catch (error) {
        span.setStatus({ code: SpanStatusCode.ERROR });
        throw error;
      } finally {
        span.end();
      }
    });
  }
}

function ratioOf(text: string | undefined): number {
  const ratio = text === undefined || text === "" ? RATIO : Number(text);
  if (ratio >= 0 && ratio <= 1) return ratio;
  throw new MillraceError("MR_OPTION_INVALID", `OTEL_TRACES_SAMPLER_ARG must be a share from 0 to 1, not ${text}`);
}
