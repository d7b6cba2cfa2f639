import type { ReleaseArchive } from "./pins.js";

/** Where the server is. */
export type FoundServer =
  | { readonly kind: "url"; readonly url: string }
  | { readonly kind: "binary"; readonly path: string; readonly version: string; readonly origin: string };

/** `absent`: nothing was there to try, which is no news unless everything fails. */
export type StepResult =
  | { readonly kind: "found"; readonly server: FoundServer }
  | { readonly kind: "unavailable"; readonly reason: string; readonly absent: boolean };

/** What one route to a server may use. Everything it touches comes in here, so that each can be tested alone. */
export interface ObtainContext {
  /** The environment the user started us with; also what child processes get. */
  readonly env: NodeJS.ProcessEnv;
  /** The project's cache folder; a server is kept in `<cacheDir>/nats-server/<version>-<platform>/`. */
  readonly cacheDir: string;
  /** Node's `platform-arch`. */
  readonly platform: string;
  /** Where the system's package sources are described. */
  readonly etcDir: string;
  readonly pins: Pins;
  /** One download. */
  readonly downloadTimeoutMs: number;
  /** One compilation. */
  readonly buildTimeoutMs: number;
  /** Progress for the person at the screen, one line each. */
  readonly report: (line: string) => void;
}

export interface Pins {
  readonly minVersion: string;
  readonly version: string;
  readonly releasesUrl: string;
  readonly archives: Readonly<Record<string, ReleaseArchive>>;
}

export function unavailable(reason: string): StepResult {
  return { kind: "unavailable", reason, absent: false };
}

export function absent(reason: string): StepResult {
  return { kind: "unavailable", reason, absent: true };
}

export function formatMb(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
