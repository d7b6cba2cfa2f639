import {
  count,
  fieldReader,
  hopping,
  jsonSource,
  minutes,
  num,
  pipeline,
  quantiles,
  seconds,
  str,
  top,
} from "./millrace.js";

/** Requests of the last five minutes, every ten seconds: how many, how slow, and which hosts ask most. */
const requests = jsonSource({
  stream: "requests",
  fields: fieldReader({ service: str, host: str, latencyMs: num, at: num }),
  time: ({ at }) => at,
});

export const busiestHosts = pipeline("net.busiest-hosts", {
  summary: "load, latency and busiest hosts of each service",
})
  .from(requests)
  .keyBy(({ service }) => service, { local: true })
  .window("five-minutes", hopping({ sizeMs: minutes(5), slideMs: seconds(10) }))
  .aggregate({ requests: count(), latencyMs: quantiles("latencyMs", [0.5, 0.99]), hosts: top("host", { k: 3 }) })
  .to({
    stream: "load",
    write: ({ key, endMs, requests, latencyMs, hosts }) => ({
      stream: "load",
      subject: "load.services",
      record: {
        kind: "row",
        service: key,
        endMs,
        requests,
        p50: Math.round(latencyMs[0] as number),
        p99: Math.round(latencyMs[1] as number),
        hosts: hosts.map((host) => host.key),
      },
    }),
  });
