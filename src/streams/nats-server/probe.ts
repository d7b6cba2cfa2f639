import { connect, type Socket } from "node:net";

const TIMEOUT_MS = 1_000;

/** True when a NATS server on `url` accepts these credentials and answers a ping. Needs no client library. */
export function answersNats(url: string, user: string, password: string): Promise<boolean> {
  const { hostname, port } = new URL(url);
  let asked = false;
  return converse(connect(Number(port), hostname), (socket, received) => {
    if (received.includes("PONG\r\n")) return true;
    if (received.includes("-ERR")) return false;
    if (!asked && /^INFO .*\r\n/.test(received)) {
      asked = true;
      const options = JSON.stringify({ user, pass: password, verbose: false, pedantic: false, name: "millrace-probe" });
      socket.write(`CONNECT ${options}\r\nPING\r\n`);
    }
    return undefined;
  });
}

/** True when something accepts connections on this port of 127.0.0.1. */
export function answersTcp(port: number): Promise<boolean> {
  return converse(connect(port, "127.0.0.1"), undefined);
}

/** Feeds what arrives to `step` until it decides; without a `step` the connection itself is the answer. */
function converse(
  socket: Socket,
  step: ((socket: Socket, received: string) => boolean | undefined) | undefined,
): Promise<boolean> {
  return new Promise((resolve) => {
    const decide = (answer: boolean): void => {
      socket.destroy();
      resolve(answer);
    };
    let received = "";
    socket.setTimeout(TIMEOUT_MS, () => decide(false));
    socket.once("error", () => decide(false));
    socket.once("close", () => decide(false));
    if (step === undefined) socket.once("connect", () => decide(true));
    socket.on("data", (chunk) => {
      received += chunk.toString("latin1");
      const answer = step?.(socket, received);
      if (answer !== undefined) decide(answer);
    });
  });
}
