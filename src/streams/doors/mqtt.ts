import { connect, type IClientOptions, type IPublishPacket, type MqttClient } from "mqtt";
import { isMillraceError, type Log, type Logger, MillraceError, type NewMessage } from "../../core/index.js";
import { packable, packLines } from "../codecs/pack.js";
import { heldAcknowledgements } from "./mqtt-acknowledgements.js";
import { laneOf, messageOf, truncated } from "./mqtt-message.js";

const FILTER = "millrace/v1/#";
/** Messages taken from the broker that the log has not acknowledged yet. Beyond that the connection is not read. */
const IN_FLIGHT_MOST = 512;
const IN_FLIGHT_BYTES_MOST = 16 * 1024 * 1024;
const RETRY_MS_FIRST = 100;
const RETRY_MS_MOST = 5_000;
const CLOSE_MS_MOST = 2_000;

export interface MqttDoorOptions {
  readonly log: Log;
  readonly logger: Logger;
  /** `mqtt://host:port` or `mqtts://…`. */
  readonly url: string;
  readonly user?: string;
  readonly password?: string;
  /** Names our session at the broker: fixed, so that what arrives while we are away waits for us. @default "millrace" */
  readonly clientId?: string;
  /** 4 is MQTT 3.1.1, 5 is MQTT 5. @default 4 */
  readonly protocolVersion?: 4 | 5;
}

export interface MqttDoorStatus {
  readonly connected: boolean;
  /** Messages the broker delivered, repeats included. */
  readonly received: number;
  /** Those the log has. */
  readonly stored: number;
  /** QoS 0 messages the log did not take: lost, as QoS 0 may be. */
  readonly lost: number;
  readonly inFlight: number;
}

export interface MqttDoor {
  /** Resolves when the broker has confirmed the subscription for the first time: from then on it keeps messages for us. */
  readonly subscribed: Promise<void>;
  status(): MqttDoorStatus;
  /** Stops reading, waits up to 2 s for the log, acknowledges what it has, disconnects. The session stays at the broker. */
  close(): Promise<void>;
}

/**
 * The MQTT door: a client of any broker with a persistent session. A QoS 1 message is acknowledged to the broker only after the
 * log has acknowledged it, so nothing acknowledged is lost; what is not acknowledged comes again (the first operator drops it).
 * QoS 0 is lossy: nobody asks for such a message again.
 *
 * Order: messages of one equipment go to the log one at a time, in the order the broker delivers them, also when the log fails;
 *        different ones side by side, up to 512 messages and 16 MB. What waits behind one that is on its way leaves as one pack. After a reconnection the order is the broker's affair:
 *        most resend what was not acknowledged first, nats-server only after its `ack_wait` (30 s), behind newer messages.
 * Log away or full: tries again for as long as it takes; the broker holds what comes meanwhile.
 * Errors: none thrown; a refused connection is logged and tried again each second.
 */
export function mqttDoor(options: MqttDoorOptions): MqttDoor {
  const { log, logger } = options;
  const client = connect(options.url, clientOptions(options));
  const lanes = new Map<string, Lane>();
  const acknowledgements = heldAcknowledgements(
    client,
    () => inFlight < IN_FLIGHT_MOST && inFlightBytes < IN_FLIGHT_BYTES_MOST,
  );
  const counts = { received: 0, stored: 0, lost: 0 };
  let inFlight = 0;
  let inFlightBytes = 0;
  let failing = false;
  let closing = false;

  client.handleMessage = (packet, proceed) => {
    if (!acknowledgements.isLive()) return proceed();
    counts.received += 1;
    const settle = packet.qos === 0 ? undefined : acknowledgements.expect(packet);
    inFlight += 1;
    inFlightBytes += packet.payload.length;
    const name = laneOf(packet.topic);
    const lane = lanes.get(name) ?? { waiting: [], done: Promise.resolve() };
    lane.waiting.push({ message: messageOf(packet), packet, settle });
    if (!lanes.has(name)) {
      lanes.set(name, lane);
      lane.done = empty(lane).finally(() => lanes.delete(name));
    }
    proceed();
  };

  /** Sends what waits in a lane, one message at a time; what came meanwhile for the same subject travels together. */
  async function empty({ waiting }: Lane): Promise<void> {
    while (waiting.length > 0) {
      const lossy = waiting[0]?.packet.qos === 0;
      const alike = waiting.findIndex(({ packet }) => (packet.qos === 0) !== lossy);
      const front = alike < 0 ? waiting : waiting.slice(0, alike);
      const batch = waiting.splice(0, packable(front.map(({ message }) => message)));
      const isStored = await store(batch, lossy);
      for (const { packet, settle } of batch) {
        if (isStored) settle?.();
        inFlight -= 1;
        inFlightBytes -= packet.payload.length;
      }
      acknowledgements.proceed();
    }
  }

  /** True once the log has them. False when they may be forgotten: QoS 0, or we are closing and the broker will send them again. */
  async function store(batch: readonly Waiting[], lossy: boolean): Promise<boolean> {
    let message = joined(batch.map(({ message }) => message));
    for (let waitMs = RETRY_MS_FIRST; !closing; waitMs = Math.min(waitMs * 2, RETRY_MS_MOST)) {
      try {
        await log.publish(message);
        counts.stored += batch.length;
        if (failing) logger.info("the log takes mqtt messages again");
        failing = false;
        return true;
      } catch (error) {
        if (!isMillraceError(error)) throw error;
        if (error.code === "MR_TOO_LARGE") {
          message = truncated(message);
          continue;
        }
        if (!failing) logger.warn({ err: error }, "the log does not take mqtt messages");
        failing = true;
        if (lossy) {
          counts.lost += batch.length;
          return false;
        }
        await pause(waitMs);
      }
    }
    return false;
  }

  const subscribed = subscribeAlways(client, logger);
  client.on("error", (error) => logger.warn({ err: error }, "mqtt connection failed"));

  return {
    subscribed,
    status: () => ({ connected: client.connected, inFlight, ...counts }),
    async close() {
      if (closing) return;
      acknowledgements.hold();
      const deadline = pause(CLOSE_MS_MOST).then(() => (closing = true));
      // A delivery the library was already working on may open one more lane while we wait for the others.
      while (!closing && (await Promise.race([idle(lanes), deadline])));
      closing = true;
      acknowledgements.stop();
      await client.endAsync(false).catch(() => client.end(true));
    },
  };
}

interface Waiting {
  readonly message: NewMessage;
  readonly packet: IPublishPacket;
  readonly settle: (() => void) | undefined;
}

/** Messages of one equipment, in their order; none waits for company, what waits for the log is its company. */
interface Lane {
  readonly waiting: Waiting[];
  done: Promise<void>;
}

/** One message, or several of one subject as NDJSON. */
function joined(messages: readonly NewMessage[]): NewMessage {
  const [first] = messages as readonly [NewMessage];
  const [data] = packLines(messages.map(({ data }) => data)) as Iterable<Uint8Array>;
  return messages.length === 1 || data === undefined ? first : { ...first, data };
}

function clientOptions({
  user,
  password,
  clientId = "millrace",
  protocolVersion = 4,
}: MqttDoorOptions): IClientOptions {
  return {
    clientId,
    protocolVersion,
    clean: false,
    resubscribe: false, // done on each connection below, where a refusal is seen
    reconnectPeriod: 1_000,
    keepalive: 30,
    ...(user === undefined ? {} : { username: user }),
    ...(password === undefined ? {} : { password }),
    ...(protocolVersion === 5
      ? { properties: { sessionExpiryInterval: 0xffff_ffff, receiveMaximum: IN_FLIGHT_MOST } }
      : {}),
  };
}

/** Subscribes on every connection: a broker that lost our session would otherwise stay silent for ever. */
function subscribeAlways(client: MqttClient, logger: Logger): Promise<void> {
  return new Promise((resolve) => {
    client.on("connect", () => {
      client.subscribe(FILTER, { qos: 1 }, (error, granted) => {
        const refused = error ?? (granted?.some(({ qos }) => qos >= 128) ? refusal() : undefined);
        if (refused) logger.error({ err: refused }, "mqtt subscription refused");
        else resolve();
      });
    });
  });
}

function refusal(): MillraceError {
  return new MillraceError(
    "MR_UNAUTHORIZED",
    `the mqtt broker refuses the subscription to ${FILTER}; check the user's rights there`,
  );
}

/** Waits for every lane; true when there may be more by then. */
async function idle(lanes: ReadonlyMap<string, Lane>): Promise<boolean> {
  await pause(0);
  await Promise.all([...lanes.values()].map(({ done }) => done));
  return lanes.size > 0;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms).unref();
  });
}
