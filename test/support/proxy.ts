import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/** A wire that can be cut: between a client and a server, to lose answers on purpose. */
export interface Proxy {
  /** The target's URL with the proxy's port. */
  readonly url: string;
  /** From now on what the server says is lost; what the client says still arrives. */
  mute(): void;
  /** Ends every connection and lets new ones speak both ways. */
  cut(): void;
  stop(): Promise<void>;
}

export async function startProxy(target: string): Promise<Proxy> {
  const url = new URL(target);
  const pairs = new Set<readonly [Socket, Socket]>();
  let muted = false;
  const server = createServer((client) => {
    const upstream = connect(Number(url.port), url.hostname);
    const pair = [client, upstream] as const;
    pairs.add(pair);
    client.on("data", (bytes) => upstream.write(bytes));
    upstream.on("data", (bytes) => muted || client.write(bytes));
    for (const socket of pair) {
      socket.on("error", () => undefined); // the other end closes too, below
      socket.on("close", () => {
        for (const other of pair) other.destroy();
        pairs.delete(pair);
      });
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const cut = () => {
    muted = false;
    for (const [client] of pairs) client.destroy();
  };
  return {
    url: `${url.protocol}//127.0.0.1:${(server.address() as AddressInfo).port}`,
    mute() {
      muted = true;
    },
    cut,
    async stop() {
      cut();
      server.close();
      await once(server, "close");
    },
  };
}
