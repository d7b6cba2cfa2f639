import { Client, type ClientOptions, type SocketClass } from "./client.js";

/**
 * Connects to a gateway: `http(s)://host[:port]`, or `ws(s)://host[:port]/ws`. Returns at once; subscriptions begin when the connection
 * is up, and again each time it comes back.
 */
export function connect(url: string | URL, options: ClientOptions = {}): Client {
  return new Client(url, options, options.WebSocket ?? (globalThis.WebSocket as unknown as SocketClass));
}
