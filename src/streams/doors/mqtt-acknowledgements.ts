import { strict as assert } from "node:assert";
import type { IPublishPacket, MqttClient, Packet } from "mqtt";

type Done = (error?: Error) => void;
type SendPacket = (packet: Packet, done?: Done, ...rest: unknown[]) => void;

/** A delivery whose PUBACK waits for the log. */
interface Held {
  readonly messageId: number | undefined;
  puback: Packet | undefined;
  settled: boolean;
}

/**
 * Lets many deliveries wait for the log at a time while their PUBACKs keep the order of the deliveries, as MQTT demands [4.6.0-2].
 *
 * mqtt.js offers `handleMessage`, whose callback means both "acknowledge this" and "give me the next": one delivery a round
 * trip of the log, 3 to 5 K/s alone and far less beside a busy server. So the PUBACK is taken out of the library's hands here, at
 * the one private method that sends packets (`_sendPacket`, mqtt 5.16); a test against a real broker holds both promises.
 *
 * PUBACKs never cross a reconnection: the broker may have given the packet number to another message. The library goes on with
 * what it had read of a closed connection, and would queue PUBACKs for the next one: both are stopped here.
 */
export function heldAcknowledgements(client: MqttClient, hasRoom: () => boolean) {
  const inner = client as unknown as { _sendPacket: SendPacket };
  const send = inner._sendPacket;
  assert.equal(typeof send, "function", "mqtt.js has no _sendPacket any more");
  let held: Held[] = [];
  let waiting: Done | undefined;
  let holding = false;
  let live = false;

  inner._sendPacket = function sendPacket(packet, done, ...rest) {
    if (packet.cmd !== "puback") {
      send.call(client, packet, done, ...rest);
      return;
    }
    const entry = held.at(-1);
    if (live) {
      assert(
        entry !== undefined && entry.messageId === packet.messageId,
        "a PUBACK for another delivery than the last",
      );
      entry.puback = packet;
      flush();
    }
    if (!live || (hasRoom() && !holding)) done?.();
    else waiting = done;
  };

  function drop(): void {
    held = [];
    waiting = undefined;
  }
  client.on("close", () => {
    live = false;
    drop();
  });
  // Not "connect": deliveries of the same network read may come before that event.
  client.on("packetreceive", ({ cmd }) => {
    if (cmd === "connack") live = true;
  });

  function flush(): void {
    while (held[0]?.settled === true && held[0].puback !== undefined) {
      const { puback } = held.shift() as Held;
      if (puback !== undefined) send.call(client, puback, () => undefined);
    }
  }

  return {
    /** False once the connection a delivery came from is closed: the broker sends it again. */
    isLive: () => live,
    /** Announces a delivery; call the result when the log has it. */
    expect({ messageId }: IPublishPacket): () => void {
      const entry: Held = { messageId, puback: undefined, settled: false };
      held.push(entry);
      return () => {
        entry.settled = true;
        flush();
      };
    },
    /** Reads on if it stopped for lack of room and there is room now. */
    proceed(): void {
      if (waiting === undefined || holding || !hasRoom()) return;
      const next = waiting;
      waiting = undefined;
      next();
    },
    /** Reads nothing more. */
    hold(): void {
      holding = true;
    },
    /** Lets go of everything not settled, and of what still comes: the broker sends it again. The library can end only so. */
    stop(): void {
      live = false;
      const next = waiting;
      drop();
      next?.();
    },
  };
}
