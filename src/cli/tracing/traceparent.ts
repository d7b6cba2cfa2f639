import { isSpanContextValid, type SpanContext, TraceFlags } from "@opentelemetry/api";

/** The header of W3C Trace Context, on requests and on messages of the log. */
export const TRACEPARENT = "traceparent";

const SHAPE = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/;

export function formatTraceparent({ traceId, spanId, traceFlags }: SpanContext): string {
  return `00-${traceId}-${spanId}-${(traceFlags & TraceFlags.SAMPLED).toString(16).padStart(2, "0")}`;
}

/** Undefined for anything else than version 00 with ids that are not all zeros. */
export function readTraceparent(text: string | undefined): SpanContext | undefined {
  const [, traceId = "", spanId = "", flags = "0"] = SHAPE.exec(text ?? "") ?? [];
  const found = { traceId, spanId, traceFlags: Number.parseInt(flags, 16) & TraceFlags.SAMPLED, isRemote: true };
  return isSpanContextValid(found) ? found : undefined;
}
