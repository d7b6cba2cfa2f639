import { WebSocket } from "ws";
import { Client, type ClientOptions, type SocketClass } from "./client.js";

export { MillraceClientError } from "./errors.js";
export type * from "./index.js";

/** As in the browser, with the WebSocket of `ws`. */
export function connect(url: string | URL, options: ClientOptions = {}): Client {
  return new Client(url, options, options.WebSocket ?? (WebSocket as unknown as SocketClass));
}
