import { once } from "node:events";
import { connect } from "node:net";
import t from "tap";
import type { WsSocket } from "../../src/ws/transport.js";
import { KEY, page, poll, sockets, start } from "./conformance.js";
import { client, TRANSPORTS } from "./support.js";

for (const transport of TRANSPORTS) {
  t.test(`${transport}: WebSocket`, async (t) => {
    const server = await start(transport, await page(t));
    t.teardown(() => server.close(0));
    const url = `ws://127.0.0.1:${server.port}/ws`;

    const refused: { name: string; query: string; origin?: string; status: string }[] = [
      { name: "no key", query: "", status: "401" },
      { name: "wrong key", query: "?key=x", status: "401" },
      { name: "another site's page", query: `?key=${KEY}`, origin: "https://evil.example", status: "403" },
      { name: "another port of this host", query: `?key=${KEY}`, origin: "http://127.0.0.1:1", status: "403" },
      { name: "wrong key, decided later", query: "?key=x&later", status: "401" },
      { name: "a sandboxed page", query: `?key=${KEY}`, origin: "null", status: "403" },
    ];
    for (const { name, query, origin, status } of refused) {
      await t.rejects(client(url + query, origin === undefined ? {} : { origin }), { message: status }, name);
    }
    for (const origin of [undefined, `http://127.0.0.1:${server.port}`, "https://wall.example"]) {
      const accepted = await client(`${url}?key=${KEY}`, origin === undefined ? {} : { origin });
      accepted.ws.terminate();
    }
    const late = await client(`${url}?key=${KEY}&later`);
    late.send("decided later");
    t.match(await late.next(), { length: 13 }, "what is sent at once after a late decision arrives");
    late.ws.terminate();
    for (let i = 0; i < 20; i++) {
      const gone = connect(server.port, "127.0.0.1");
      gone.on("error", () => {});
      gone.write(
        `GET /ws?key=${KEY}&later HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`,
        () => gone.destroy(),
      );
    }
    await poll(() => server.connections() === 0);
    await t.rejects(
      client(`ws://127.0.0.1:${server.port}/hello?key=${KEY}`),
      { message: "200" },
      "a plain route stays plain",
    );
    await t.rejects(client(`ws://127.0.0.1:${server.port}/nothing`), { message: "404" }, "unknown path");

    await t.test("echo, two frames in one cork, ping", async (t) => {
      const c = await client(url, { headers: { authorization: `Bearer ${KEY}` } });
      c.send('"grüße"');
      t.same(await c.next(), { length: 7, text: '"grüße"' });
      t.same(await c.next(), { second: true });
      c.ws.ping("now");
      const [pong] = await once(c.ws, "pong");
      t.equal(pong.toString(), "now");
      c.ws.close(1000);
      t.equal((await c.closed).code, 1000);
    });

    await t.test("a topic of many: what is published comes once and in order, to those who are in it", async (t) => {
      const topic = server.topic(false);
      const frames = (...texts: string[]) => texts.map((text) => Buffer.from(JSON.stringify({ text })));
      const members: { c: Awaited<ReturnType<typeof client>>; socket: WsSocket }[] = [];
      const join = async () => {
        const c = await client(`${url}?key=${KEY}`);
        const socket = sockets.last as WsSocket;
        topic.add(socket);
        members.push({ c, socket });
      };
      for (let i = 0; i < 1_100; i++) await join();
      const each = (them: typeof members, ...texts: string[]) =>
        Promise.all(
          them.map(async ({ c }) => {
            for (const text of texts) if ((await c.next())["text"] !== text) throw new Error(c.log.join());
          }),
        );
      topic.publish(frames("a", "b"));
      await t.resolves(each(members, "a", "b"));
      const leaving = members.splice(10, 50);
      for (const { socket } of leaving.slice(0, 20)) {
        topic.remove(socket);
        topic.remove(socket);
      }
      for (const { c, socket } of leaving.slice(20)) {
        socket.terminate();
        await c.closed;
        topic.remove(socket);
        topic.add(socket);
      }
      await join();
      topic.publish(frames("c", "d"));
      for (const { socket } of leaving.slice(0, 20)) socket.send(Buffer.from('{"text":"last"}'));
      await t.resolves(each(members, "c", "d"));
      await t.resolves(each(leaving.slice(0, 20), "last"), "nothing but what was for them alone");
      for (const { c } of [...members, ...leaving]) c.ws.terminate();
      await poll(() => server.connections() === 0);
    });

    const closing: { name: string; send: (ws: WebSocketLike) => void; codes: number[] }[] = [
      { name: "over the message limit", send: (ws) => ws.send("x".repeat(1_001)), codes: [1009] },
      {
        name: "over it in fragments",
        send: (ws) => [false, true].map((fin) => ws.send("x".repeat(600), { fin })),
        codes: [1009],
      },
      // uWS cuts what is over its own limit (four times ours) without a close frame.
      { name: "far over it", send: (ws) => ws.send("x".repeat(100_000)), codes: [1009, 1006] },
      { name: "binary", send: (ws) => ws.send(Buffer.from("{}")), codes: [1003] },
      {
        name: "not UTF-8",
        send: (ws) => ws.send(Buffer.from([0x22, 0xff, 0x22]), { binary: false }),
        codes: [1007, 1006],
      },
    ];
    for (const { name, send, codes } of closing) {
      const c = await client(`${url}?key=${KEY}`);
      send(c.ws as unknown as WebSocketLike);
      const { code } = await c.closed;
      t.ok(codes.includes(code), `${name}: ${code}`);
    }
    const c = await client(`${url}?key=${KEY}`);
    c.send("x".repeat(1_000));
    t.match(await c.next(), { length: 1_000 }, "at the limit");

    await t.test("closing twice, and using a closed socket", async (t) => {
      sockets.last?.close(3008, "slow");
      sockets.last?.close(3008, "slow");
      sockets.last?.send(Buffer.from("{}"));
      t.same(await c.closed, { code: 3008, reason: "slow" });
      sockets.last?.terminate();
      sockets.last?.cork(() => {});
      t.equal(sockets.last?.bufferedBytes(), 0);
    });

    await t.test(
      "a client that does not read: bytes are seen waiting, and the close frame still comes after them",
      async (t) => {
        const c = await client(`${url}?key=${KEY}`);
        c.ws.pause();
        const socket = sockets.last;
        const frame = Buffer.from(JSON.stringify("x".repeat(65_530)));
        let sent = 0;
        while (socket && socket.bufferedBytes() < 900_000 && sent < 2_000) {
          socket.send(frame);
          sent++;
          await new Promise((resolve) => setImmediate(resolve));
        }
        t.ok((socket?.bufferedBytes() ?? 0) >= 900_000, `${sent} frames until the buffer showed`);
        socket?.close(3008, "slow");
        c.ws.resume();
        t.same(await c.closed, { code: 3008, reason: "slow" });
        t.equal(c.log.length, sent, "nothing sent before is lost");
      },
    );
  });
}

interface WebSocketLike {
  send(data: unknown, options?: object): void;
}
