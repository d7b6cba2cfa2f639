import { connectLog, streamSpecs } from "../../src/streams/index.js";
import { startNats } from "../../test/support/nats.js";
import { freePort } from "../../test/support/ports.js";
import { seededRandom } from "../../test/support/random.js";
import { type Follower, follow, judge, type Verdict } from "./follower.js";
import { type ServerUnderTest, sleep, startServer } from "./rig.js";
import { KEY } from "./servers.js";

export interface Trouble {
  /** Every follower loses its network for `forMs` each `everyMs`, each at its own moment. */
  readonly drops?: { readonly everyMs: number; readonly forMs: number };
  /** At this moment the gateway is killed and started again. */
  readonly killGatewayAtMs?: number;
  /** At this moment nats-server is killed as by a power cut and started again. */
  readonly killNatsAtMs?: number;
  /** At this moment all followers lose their connection at once. */
  readonly stormAtMs?: number;
}

export interface Outcome extends Verdict {
  /** From the storm until 99 % were subscribed again; undefined without one. */
  readonly stormMs: number | undefined;
}

/**
 * Followers of one channel on a real log and a gateway in a process of its own, through trouble. Whatever was published is waited for,
 * at most `patienceMs`; what has not come by then is missing.
 */
export async function endure(options: {
  readonly followers: number;
  readonly ratePerS: number;
  readonly ms: number;
  readonly pauseMs: number;
  readonly patienceMs: number;
  readonly seed: number;
  readonly trouble: Trouble;
}): Promise<Outcome> {
  const { ratePerS, ms, pauseMs, patienceMs, trouble } = options;
  const random = seededRandom(options.seed);
  const nats = await startNats();
  const writer = await connectLog({ url: nats.url, name: "publisher", timeoutMs: 1_000 });
  for (const spec of streamSpecs(2)) if (["alerts", "audit"].includes(spec.name)) await writer.log.ensureStream(spec);
  // A named port from the beginning: a native listener on "any port" is not made to be followed by another on the same one.
  const port = await freePort();
  let server: ServerUnderTest = await startServer("millrace-log", nats.url, port);
  const followers: Follower[] = [];
  const timers: NodeJS.Timeout[] = [];
  try {
    const url = () => `ws://127.0.0.1:${port}/ws?key=${KEY}`;
    while (followers.length < options.followers) {
      const some = Math.min(100, options.followers - followers.length);
      const joining = Array.from({ length: some }, () => follow({ url, channel: "alerts", pauseMs, random }));
      followers.push(...(await Promise.all(joining)));
    }
    if (trouble.drops) {
      const { everyMs, forMs } = trouble.drops;
      for (const follower of followers)
        timers.push(
          setTimeout(() => timers.push(setInterval(() => follower.drop(forMs), everyMs)), random() * everyMs),
        );
    }
    const waits: Promise<unknown>[] = [];
    let stormMs: number | undefined;
    if (trouble.killGatewayAtMs !== undefined)
      waits.push(
        sleep(trouble.killGatewayAtMs).then(async () => {
          await server.stop();
          server = await startServer("millrace-log", nats.url, port);
        }),
      );
    if (trouble.killNatsAtMs !== undefined)
      waits.push(
        sleep(trouble.killNatsAtMs).then(async () => {
          await nats.kill();
          await sleep(500);
          await nats.start();
        }),
      );
    if (trouble.stormAtMs !== undefined)
      waits.push(
        sleep(trouble.stormAtMs).then(async () => {
          const fromMs = performance.now();
          for (const follower of followers) follower.drop(random() * pauseMs);
          const enough = followers.length * 0.99;
          while (followers.filter(({ isSubscribed }) => isSubscribed).length < enough) await sleep(20);
          stormMs = performance.now() - fromMs;
        }),
      );

    const published = await publish(writer, ratePerS, ms);
    await Promise.all(waits);
    for (const timer of timers) clearInterval(timer);
    const last = published.at(-1) ?? 0;
    for (const fromMs = performance.now(); performance.now() - fromMs < patienceMs; await sleep(50))
      if (followers.every(({ seen }) => seen.at(-1) === last)) break;
    return { ...judge(followers, published), stormMs };
  } finally {
    for (const timer of timers) clearInterval(timer);
    for (const follower of followers) follower.stop();
    await server.stop();
    await writer.close();
    await nats.stop();
  }
}

/** One after the other, and each again until the log has it: what counts is what the log says it stored. */
async function publish(
  { log }: Awaited<ReturnType<typeof connectLog>>,
  ratePerS: number,
  ms: number,
): Promise<readonly number[]> {
  const fromMs = performance.now();
  for (let n = 0; performance.now() - fromMs < ms; n++) {
    const data = Buffer.from(JSON.stringify({ n, severity: "critical" }));
    const sequence = await log.publish({ subject: "alerts.0.mine", data }).catch(() => undefined);
    if (sequence === undefined) await sleep(50);
    await sleep(Math.max(0, fromMs + ((n + 1) * 1_000) / ratePerS - performance.now()));
  }
  // A publish whose answer was lost is in the log all the same, and followers are due it too.
  const { firstSequence, lastSequence } = await log.info("alerts");
  return Array.from({ length: lastSequence - firstSequence + 1 }, (_, i) => firstSequence + i);
}
