// The load client where there is no C compiler: the same arguments and answers as load-client.c, at a fraction of its speed.
import { connect, type Socket } from "node:net";
import { createInterface } from "node:readline";

const [port = "", connections = "", stalled = "", path = "", protocol = "", hello = "", ready = "", groups = "1"] =
  process.argv.slice(2);
const count = Number(connections);
const latencies: number[] = [];
let measuring = false;
let frames = 0;
let bytes = 0;
let lost = 0;
let standing = 0;

for (let i = 0; i < count; i++) await open(i);

function open(index: number): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect(Number(port), "127.0.0.1");
    const stands = index < Number(stalled);
    let rest = Buffer.alloc(0);
    let isUpgraded = false;
    let isReady = false;
    const filled = (text: string) => text.replace("{g}", String(index % Number(groups)));
    const become = () => {
      isReady = true;
      if (stands) socket.pause();
      if (++standing === count) listen();
      resolve();
    };
    const offer = protocol === "-" ? "" : `Sec-WebSocket-Protocol: ${protocol}\r\n`;
    socket.setNoDelay(true);
    socket.write(
      `GET ${filled(path)} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n` +
        `Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n${offer}\r\n`,
    );
    socket.on("error", () => {}).on("close", () => lost++);
    socket.on("data", (chunk) => {
      rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
      if (!isUpgraded) {
        const end = rest.indexOf("\r\n\r\n");
        if (end < 0) return;
        isUpgraded = true;
        rest = rest.subarray(end + 4);
        if (hello !== "-") send(socket, filled(hello));
        if (ready === "-") become();
      }
      for (let frame = take(rest); frame; frame = take(rest)) {
        rest = rest.subarray(frame.size);
        if (frame.opcode === 9) socket.write(Buffer.from([0x8a, 0x80, 0, 0, 0, 0]));
        else if (!isReady) frame.payload.includes(ready) && become();
        else if (frame.payload.length === 1 && frame.payload[0] === 0x32) send(socket, "3");
        else if (measuring) note(frame.payload, index % 7 === 3);
      }
    });
  });
}

function note(payload: Buffer, isTimed: boolean): void {
  frames++;
  bytes += payload.length;
  if (!isTimed) return;
  const at = payload.indexOf('"t":');
  const sentUs = Number.parseInt(payload.toString("latin1", at + 4, at + 24), 10);
  if (at >= 0) latencies.push(performance.timeOrigin + performance.now() - sentUs / 1_000);
}

function take(data: Buffer): { opcode: number; payload: Buffer; size: number } | undefined {
  if (data.length < 2) return undefined;
  const short = (data[1] ?? 0) & 127;
  const head = short === 126 ? 4 : short === 127 ? 10 : 2;
  if (data.length < head) return undefined;
  const length = short === 126 ? data.readUInt16BE(2) : short === 127 ? Number(data.readBigUInt64BE(2)) : short;
  if (data.length < head + length) return undefined;
  return { opcode: (data[0] ?? 0) & 15, payload: data.subarray(head, head + length), size: head + length };
}

function send(socket: Socket, text: string): void {
  const length = Buffer.byteLength(text);
  const head = length < 126 ? [0x81, 0x80 | length] : [0x81, 0x80 | 126, length >> 8, length & 255];
  socket.write(Buffer.concat([Buffer.from([...head, 0, 0, 0, 0]), Buffer.from(text)]));
}

function listen(): void {
  process.stdout.write("ready\n");
  createInterface(process.stdin)
    .on("line", (line) => {
      const seconds = Number(/^measure ([\d.]+)$/.exec(line)?.[1]);
      [frames, bytes, latencies.length] = [0, 0, 0];
      measuring = true;
      const cpu = process.cpuUsage();
      setTimeout(() => {
        measuring = false;
        const { user, system } = process.cpuUsage(cpu);
        const sorted = latencies.sort((a, b) => a - b);
        const quantile = (q: number) => sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? -1;
        const found = { frames, bytes, seconds, cpuS: (user + system) / 1e6, lost, samples: sorted.length };
        process.stdout.write(`${JSON.stringify({ ...found, p50Ms: quantile(0.5), p99Ms: quantile(0.99) })}\n`);
      }, seconds * 1_000);
    })
    .on("close", () => process.exit(0));
}
