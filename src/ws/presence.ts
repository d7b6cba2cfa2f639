import type { PresenceMember } from "./protocol.js";

/** Who is told when somebody comes or goes. */
export interface Watcher {
  joined(channel: string, who: PresenceMember): void;
  left(channel: string, who: Pick<PresenceMember, "client" | "user">): void;
}

/** Who is subscribed to what through this process, for the channels that tell. Nothing is kept of others. */
export class Presence {
  readonly #here = new Map<string, Map<string, PresenceMember>>();
  readonly #watchers = new Map<string, Set<Watcher>>();

  enter(channel: string, who: PresenceMember): void {
    const here = this.#here.get(channel) ?? new Map<string, PresenceMember>();
    this.#here.set(channel, here.set(who.client, who));
    for (const watcher of this.#watchers.get(channel) ?? []) watcher.joined(channel, who);
  }

  leave(channel: string, client: string): void {
    const here = this.#here.get(channel);
    const who = here?.get(client);
    if (!here || !who) return;
    here.delete(client);
    if (here.size === 0) this.#here.delete(channel);
    for (const watcher of this.#watchers.get(channel) ?? []) watcher.left(channel, { client, user: who.user });
  }

  /** In order of coming. */
  here(channel: string): readonly PresenceMember[] {
    return [...(this.#here.get(channel)?.values() ?? [])];
  }

  watch(channel: string, watcher: Watcher): void {
    const watchers = this.#watchers.get(channel) ?? new Set<Watcher>();
    this.#watchers.set(channel, watchers.add(watcher));
  }

  unwatch(channel: string, watcher: Watcher): void {
    const watchers = this.#watchers.get(channel);
    watchers?.delete(watcher);
    if (watchers?.size === 0) this.#watchers.delete(channel);
  }
}
