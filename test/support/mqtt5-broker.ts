import { once } from "node:events";
import { createRequire } from "node:module";
import { type AddressInfo, createServer, type Socket } from "node:net";

interface Packet {
  readonly cmd: string;
  readonly [field: string]: unknown;
}
interface Codec {
  parser(options: object): {
    on(event: "packet", listener: (packet: Packet) => void): void;
    parse(bytes: Buffer): void;
  };
  generate(packet: Packet, options: object): Buffer;
}
// mqtt.js's own codec: the wire is real, only the broker behind it is small.
const codec = createRequire(createRequire(import.meta.url).resolve("mqtt"))("mqtt-packet") as Codec;
const V5 = { protocolVersion: 5 };

/** Speaks enough MQTT 5 to one client: accepts it, delivers at QoS 1 what it is told to, and remembers every packet it got. */
export interface SmallBroker {
  readonly url: string;
  readonly received: readonly Packet[];
  deliver(messageId: number, topic: string, payload: string): void;
  stop(): void;
}

/** nats-server speaks 3.1.1 only; MQTT 5 needs somebody who does. */
export async function startMqtt5Broker(): Promise<SmallBroker> {
  const received: Packet[] = [];
  let client: Socket | undefined;
  const send = (packet: Packet) => client?.write(codec.generate(packet, V5));
  const server = createServer((socket) => {
    client = socket;
    const parser = codec.parser(V5);
    parser.on("packet", (packet) => {
      received.push(packet);
      if (packet.cmd === "connect") send({ cmd: "connack", reasonCode: 0, sessionPresent: false });
      if (packet.cmd === "subscribe") send({ cmd: "suback", messageId: packet["messageId"], granted: [1] });
    });
    socket.on("error", () => undefined);
    socket.on("data", (bytes) => parser.parse(bytes));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `mqtt://127.0.0.1:${(server.address() as AddressInfo).port}`,
    received,
    deliver: (messageId, topic, payload) =>
      send({ cmd: "publish", messageId, topic, payload, qos: 1, dup: false, retain: false }),
    stop() {
      client?.destroy();
      server.close();
    },
  };
}
