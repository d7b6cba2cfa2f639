import { setTimeout as pause } from "node:timers/promises";
import type { Lease, Leases } from "../core/index.js";
import type { Link } from "./connection.js";
import type { WatchableRegisters } from "./registers.js";

/** Tries against other starters of the same name, each of whom moves the epoch by one. */
const TRIES = 20;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

interface Holding {
  readonly epoch: number;
  readonly holder: string;
}

/**
 * Leases as registers `lease/<name>` = {epoch, holder}. Acquiring writes epoch + 1 by compare-and-set: the newest starter wins at
 * once. The loser learns it from a watch; should the watch be slow, its next guarded write is refused anyway.
 * Errors: MR_LOG_UNAVAILABLE.
 */
export function openLeases(link: Link, registers: WatchableRegisters): Leases {
  return {
    async acquire(name, holder) {
      const key = `lease/${name}`;
      const { epoch, revision } = await take(registers, key, holder);
      return hold(link, registers, key, { epoch, holder }, revision);
    },
  };
}

async function take(registers: WatchableRegisters, key: string, holder: string) {
  for (let tries = 0; ; tries++) {
    const current = await registers.get(key);
    const epoch = (current === undefined ? 0 : decode(current.value).epoch) + 1;
    const revision = await registers.set(key, encode({ epoch, holder }), current?.revision ?? 0);
    if (revision !== undefined) return { epoch, revision };
    if (tries >= TRIES) throw new Error(`taking ${key}: ${TRIES} others were faster`);
    await pause(Math.random() * 20 * (tries + 1));
  }
}

async function hold(
  link: Link,
  registers: WatchableRegisters,
  key: string,
  holding: Holding,
  revision: number,
): Promise<Lease> {
  const lost = new AbortController();
  const see = (value: Uint8Array) => {
    if (decode(value).epoch > holding.epoch) lost.abort();
  };
  const unwatch = await registers.watch(key, see);
  // The watch heals itself after an outage, but only some time later; asking costs nothing.
  const forget = link.onReconnect(() => {
    registers.get(key).then(
      (current) => current && see(current.value),
      () => undefined, // still down: the next reconnection asks again, and writes are fenced regardless
    );
  });
  let released = false;
  return {
    epoch: holding.epoch,
    lost: lost.signal,
    async release() {
      if (released) return;
      released = true;
      forget();
      unwatch();
      await registers.set(key, encode({ epoch: holding.epoch, holder: "" }), revision); // kept: epochs never restart
    },
  };
}

function encode(holding: Holding): Uint8Array {
  return encoder.encode(JSON.stringify(holding));
}

function decode(value: Uint8Array): Holding {
  return JSON.parse(decoder.decode(value)) as Holding;
}
