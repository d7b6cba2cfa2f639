import { type AddressInfo, createServer, type Socket } from "node:net";
import t, { type Test } from "tap";
import { answersNats, answersTcp } from "../../../src/streams/nats-server/probe.js";

async function listen(t: Test, onConnection: (socket: Socket) => void): Promise<number> {
  const server = createServer(onConnection).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  t.teardown(() => server.close());
  return (server.address() as AddressInfo).port;
}

t.test("answersNats: only a server that lets us in counts", async (t) => {
  const speak = (answer: string) => (socket: Socket) => {
    socket.write('INFO {"server_id":"x"}\r\n');
    socket.once("data", () => socket.write(answer));
  };
  const table = [
    { name: "a pong", onConnection: speak("PONG\r\n"), expected: true },
    { name: "refused", onConnection: speak("-ERR 'Authorization Violation'\r\n"), expected: false },
    { name: "closed at once", onConnection: (socket: Socket) => void socket.destroy(), expected: false },
    {
      name: "something else",
      onConnection: (socket: Socket) => void socket.end("HTTP/1.1 400\r\n\r\n"),
      expected: false,
    },
  ];
  for (const { name, onConnection, expected } of table) {
    const port = await listen(t, onConnection);
    t.equal(await answersNats(`nats://127.0.0.1:${port}`, "u", "p"), expected, name);
  }
});

t.test("answersTcp: something accepts", async (t) => {
  const port = await listen(t, (socket) => void socket.on("error", () => undefined));
  t.equal(await answersTcp(port), true);
  t.equal(await answersTcp(1), false, "nothing listens on port 1");
});
