import { constants, type NodeGCPerformanceDetail, type PerformanceEntry, PerformanceObserver } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { serveThread } from "../../../../src/cli/up/thread.js";

/** Makes objects that outlive the young generation and drops them: 0.4 GB in all, 15 MB at a time. @returns how often all of the heap was collected */
async function churn(): Promise<number> {
  let collections = 0;
  const observer = new PerformanceObserver((list) => {
    for (const entry of list.getEntries() as (PerformanceEntry & { detail: NodeGCPerformanceDetail })[])
      if (entry.detail.kind === constants.NODE_PERFORMANCE_GC_MAJOR) collections++;
  });
  observer.observe({ entryTypes: ["gc"] });
  const held: number[][] = [];
  for (let i = 0; i < 3_000_000; i++) {
    held[i % 120_000] = [i, i + 1, i + 2, i + 3, i + 4, i + 5, i + 6, i + 7];
    if (i % 10_000 === 0) await sleep(0);
  }
  await sleep(50); // what was observed is told later
  observer.disconnect();
  return collections;
}

await serveThread(async () => ({ status: () => "churning", handlers: { churn }, stop: async () => undefined }));
