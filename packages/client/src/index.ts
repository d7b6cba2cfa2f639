export type { Backoff } from "./backoff.js";
export { connect } from "./browser.js";
export type { Client, ClientOptions, Socket, SocketClass, Status } from "./client.js";
export { MillraceClientError } from "./errors.js";
export type { Filter, Member, Position, Wanted } from "./frames.js";
export type { SubscribeOptions, Subscription, Update } from "./subscription.js";
