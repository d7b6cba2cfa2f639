import { median } from "../support/report.js";
import { compileCode, type Setting, type Shape } from "./fan-out.js";
import { type Clients, connectClients, type ServerUnderTest, sleep, startServer } from "./rig.js";

/** Server CPU of one against another, in µs a delivery. */
export interface Comparison {
  /** Of `setting` and of `other`, over all slices. */
  readonly cpuUs: number;
  readonly otherCpuUs: number;
  /** Median over the slices. */
  readonly ratio: number;
  /** The same ratio of two servers of a kind: what a difference means nothing below. */
  readonly noise: number;
  readonly otherNoise: number;
}

interface Arm {
  readonly server: ServerUnderTest;
  readonly clients: Clients;
  /** One for each slice. */
  readonly cpuUs: number[];
}

const SETTLE_MS = 200;
const DRAIN_MS = 80;

/**
 * Two servers of each setting, all up and connected at once, and the load on one of them at a time, a slice each and the order turned
 * round every time. What disturbs the machine disturbs all of them alike, so small differences show that rounds of their own hide.
 */
export async function sideBySide(
  setting: Setting,
  other: Setting,
  shape: Shape & { readonly slices: number },
): Promise<Comparison> {
  const arms: Arm[] = [];
  try {
    for (const one of [setting, other, setting, other]) arms.push(await startArm(one, shape));
    for (let slice = 0; slice < shape.slices; slice++)
      for (const arm of slice % 2 === 0 ? arms : [...arms].reverse()) arm.cpuUs.push(await runSlice(arm, shape));
  } finally {
    for (const { clients, server } of arms) {
      clients.stop();
      await server.stop();
    }
  }
  const [a, b, c, d] = arms.map(({ cpuUs }) => cpuUs) as [number[], number[], number[], number[]];
  const at = (list: readonly number[], i: number) => list[i] ?? Number.NaN;
  return {
    cpuUs: mean([...a, ...c]),
    otherCpuUs: mean([...b, ...d]),
    ratio: median(a.map((cpuUs, i) => (cpuUs + at(c, i)) / (at(b, i) + at(d, i)))),
    noise: median(a.map((cpuUs, i) => at(c, i) / cpuUs)),
    otherNoise: median(b.map((cpuUs, i) => at(d, i) / cpuUs)),
  };
}

async function startArm({ kind, flushMs = 0 }: Setting, shape: Shape): Promise<Arm> {
  const server = await startServer(kind);
  await compileCode(server);
  const clients = await connectClients(server, { connections: shape.connections, flushMs });
  const arm: Arm = { server, clients, cpuUs: [] };
  await runSlice(arm, { ...shape, seconds: shape.warmUpSeconds });
  return arm;
}

async function runSlice({ server, clients }: Arm, { ratePerS, bytes, seconds }: Shape): Promise<number> {
  server.offer(ratePerS, bytes);
  await sleep(SETTLE_MS);
  const before = await server.usage();
  const { frames } = await clients.measure(seconds);
  const after = await server.usage();
  server.offer(0, 0);
  await sleep(DRAIN_MS);
  return (after.cpuUs - before.cpuUs) / frames;
}

function mean(list: readonly number[]): number {
  return list.reduce((sum, one) => sum + one, 0) / list.length;
}
