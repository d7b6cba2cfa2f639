import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/** A wire that can be cut: between a client and a server, to lose answers or the sight of each other on purpose. */
export interface Proxy {
  readonly port: number;
  /** The target's URL with the proxy's port. */
  readonly url: string;
  /** From now on what the server says is lost; what the client says still arrives. */
  mute(): void;
  /** Ends every connection and lets new ones speak both ways. */
  cut(): void;
  /** Ends every connection, and new ones as they come, until `open`. */
  close(): void;
  open(): void;
  /** New connections go to this port. */
  retarget(port: number): void;
  stop(): Promise<void>;
}

export async function startProxy(target: string): Promise<Proxy> {
  const url = new URL(target);
  let port = Number(url.port);
  const pairs = new Set<readonly [Socket, Socket]>();
  let muted = false;
  let isOpen = true;
  const server = createServer((client) => {
    if (!isOpen) {
      client.destroy();
      return;
    }
    const upstream = connect(port, url.hostname);
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
  const own = (server.address() as AddressInfo).port;
  const cut = () => {
    muted = false;
    for (const pair of pairs) for (const socket of pair) socket.destroy();
  };
  const close = () => {
    isOpen = false;
    cut();
  };
  return {
    port: own,
    url: `${url.protocol}//127.0.0.1:${own}`,
    mute() {
      muted = true;
    },
    cut,
    close,
    open() {
      isOpen = true;
    },
    retarget(to) {
      port = to;
    },
    async stop() {
      close();
      server.close();
      await once(server, "close");
    },
  };
}
