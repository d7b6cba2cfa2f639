import { once } from "node:events";
import type { AddressInfo } from "node:net";
import t from "tap";
import { WebSocket, WebSocketServer } from "ws";
import { connectLive } from "../../dashboards/wall/live.js";

interface Peer {
  readonly socket: WebSocket;
  /** The client's next frame. */
  heard(): Promise<Record<string, unknown>>;
  say(frame: object): void;
}

/** A gateway played by the test over real sockets, and what the page's client made of it. */
async function play(t: { teardown(end: () => unknown): void }, options: { silenceMs?: number } = {}) {
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
  await once(server, "listening");
  const log: string[] = [];
  let changed: () => void = () => {};
  const note = (line: string) => {
    log.push(line);
    changed();
  };
  const end = connectLive({
    url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}/ws?key=k`,
    channels: ["alerts", "stats"],
    firstRetryMs: 5,
    ...options,
    // A browser's socket has no error event that must be heard; that of `ws` has.
    createSocket: (url) => new WebSocket(url).on("error", () => {}) as never,
    onState: ({ kind }) => note(kind),
    onEvent: ({ channel, offset }) => note(`${channel} ${offset}`),
    onGap: (channel) => note(`gap ${channel}`),
  });
  t.teardown(() => {
    end();
    for (const client of server.clients) client.terminate();
    server.close();
  });
  const accept = async (): Promise<Peer> => {
    const [socket] = (await once(server, "connection")) as [WebSocket];
    const waiting: Record<string, unknown>[] = [];
    let ring: () => void = () => {};
    socket.on("message", (data) => {
      waiting.push(JSON.parse(String(data)) as Record<string, unknown>);
      ring();
    });
    return {
      socket,
      async heard() {
        while (waiting.length === 0) await new Promise<void>((done) => (ring = done));
        return waiting.shift() ?? {};
      },
      say: (frame) => socket.send(JSON.stringify(frame)),
    };
  };
  const logged = async (line: string) => {
    while (!log.includes(line)) await new Promise<void>((done) => (changed = done));
    log.splice(0, log.indexOf(line) + 1);
  };
  return { accept, logged, log, end };
}

t.test("subscribes, hears, and resumes where it was after the connection broke", async (t) => {
  const { accept, logged } = await play(t);
  const first = await accept();
  t.match(await first.heard(), { op: "subscribe", id: 1, channel: "alerts" });
  const stats = await first.heard();
  t.same(stats, { op: "subscribe", id: 2, channel: "stats" });
  first.say({ op: "subscribed", id: 1, channel: "alerts", epoch: "e1", offset: 7 });
  first.say({ op: "event", channel: "alerts", offset: 9, prev: 7, data: {} });
  await logged("alerts 9");
  first.socket.terminate();
  await logged("waiting");
  const second = await accept();
  t.same(await second.heard(), { op: "subscribe", id: 1, channel: "alerts", since: 9, epoch: "e1" });
  second.say({ op: "subscribed", id: 1, channel: "alerts", epoch: "e1", offset: 9, recovered: true });
  second.say({ op: "event", channel: "alerts", offset: 12, prev: 9, data: {} });
  await logged("alerts 12");
});

t.test("a hole is told: a missed frame, a lost history, another log", async (t) => {
  const { accept, logged, log } = await play(t);
  const peer = await accept();
  peer.say({ op: "subscribed", id: 1, channel: "alerts", epoch: "e1", offset: 0 });
  peer.say({ op: "event", channel: "alerts", offset: 5, prev: 3, data: {} });
  await logged("gap alerts");
  await logged("alerts 5");
  peer.say({ op: "subscribed", id: 1, channel: "alerts", epoch: "e1", offset: 5, recovered: false });
  await logged("gap alerts");
  peer.say({ op: "subscribed", id: 1, channel: "alerts", epoch: "e2", offset: 0 });
  await logged("gap alerts");
  peer.socket.send("not JSON");
  peer.say({ op: "event", channel: "stats", offset: 1, prev: 0, data: {} }); // never subscribed: nothing to compare with
  peer.say({ op: "event", channel: "alerts", offset: 1, prev: 0, data: {} });
  await logged("alerts 1");
  t.same(log, []);
});

t.test("a channel that is not there yet is asked for again", async (t) => {
  const { accept } = await play(t);
  const peer = await accept();
  await peer.heard();
  await peer.heard();
  peer.say({ op: "error", id: 2, code: "unavailable", message: "the log does not answer" });
  t.same(await peer.heard(), { op: "subscribe", id: 2, channel: "stats" });
});

t.test("a connection that says nothing is asked, then given up", async (t) => {
  const { accept, logged } = await play(t, { silenceMs: 15 });
  const mute = await accept();
  await mute.heard();
  await mute.heard();
  t.same(await mute.heard(), { op: "ping" });
  await logged("waiting");
  await accept();
});

t.test("after the end it stays away", async (t) => {
  const { accept, log, end } = await play(t);
  const peer = await accept();
  await peer.heard();
  end();
  await once(peer.socket, "close");
  t.notOk(log.includes("waiting"));
});
