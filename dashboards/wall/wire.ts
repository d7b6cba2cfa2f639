/**
 * What the page reads of what the gateway sends: the records of src/core and the frames of src/ws/protocol.ts, narrowed to the
 * fields shown here. A test compiles both against each other, so the page never reads what nobody sends.
 */

export type ChartDomain = "github" | "mine" | "sensor";
export type Domain = ChartDomain | "system";
export type Severity = "info" | "warning" | "critical";

export interface Origin {
  readonly stream: string;
  readonly sequence: number;
  readonly index: number;
}

export interface Alert {
  readonly fingerprint: string;
  readonly revision: number;
  readonly state: "firing" | "resolved";
  readonly rule: string;
  readonly pipeline: string;
  readonly severity: Severity;
  readonly domain: Domain;
  readonly key: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly title: string;
  readonly ts: string;
  readonly window: { readonly start: string; readonly end: string };
  readonly detector: string | null;
  readonly score: number | null;
  readonly value: number | null;
  readonly expected: { readonly low: number; readonly high: number } | null;
  readonly evidence: readonly Origin[];
}

export interface Trips {
  readonly shovel: string;
  readonly dump: string;
  readonly trips: number;
}

export interface PlanSide {
  readonly trips: readonly Trips[];
  readonly litres: number;
  readonly tonnes: number;
  readonly truckHours: number;
}

export interface Plan {
  readonly site: string;
  readonly ts: string;
  readonly reason: string;
  readonly status: "optimal" | "feasible" | "infeasible";
  readonly before: PlanSide;
  readonly after: PlanSide;
  readonly targetT: number;
  readonly shortfallT: number;
  readonly savedLitres: number;
  readonly savedRatio01: number;
  readonly gap01: number;
}

export interface DomainStats {
  readonly received: number;
  readonly stored: number;
  readonly duplicates: number;
  readonly deadLettered: number;
}

export interface Stats {
  readonly github: DomainStats;
  readonly telemetry: DomainStats;
  readonly features: { readonly stored: number };
  readonly anomalies: { readonly stored: number };
  readonly alerts: { readonly stored: number };
  readonly plans: { readonly stored: number };
  readonly late: number;
  readonly replay: {
    readonly done: boolean;
    readonly sent: number;
    readonly total: number;
    readonly clock: string | null;
  };
  readonly uptimeS: number;
}

export type Channel = "alerts" | "plans" | "stats";

/** Answer of `POST /api/v1/query`. */
export interface QueryAnswer {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly unknown[])[];
}

/** What a channel carries. */
export interface ChannelData {
  readonly alerts: Alert;
  readonly plans: Plan;
  readonly stats: Stats;
}

/** What the page says. `since` and `epoch`: where it stopped listening. */
export type ClientFrame =
  | {
      readonly op: "subscribe";
      readonly id: number;
      readonly channel: Channel;
      readonly since?: number;
      readonly epoch?: string;
    }
  | { readonly op: "ping" };

export interface SubscribedFrame {
  readonly op: "subscribed";
  readonly channel: string;
  readonly epoch: string;
  readonly offset: number;
  /** False: some of what came after `since` is gone. */
  readonly recovered?: boolean;
}

/** One kind a channel, so that `channel` tells the type of `data`. */
export type EventFrame = {
  readonly [Name in Channel]: {
    readonly op: "event";
    readonly channel: Name;
    readonly offset: number;
    /** Offset of the channel's preceding frame. */
    readonly prev: number;
    readonly data: ChannelData[Name];
  };
}[Channel];

/** `id`: the number of the request that could not be served. */
export interface ErrorFrame {
  readonly op: "error";
  readonly id: number | null;
  readonly code: string;
}

/** What the page hears and has no use for. */
export interface OtherFrame {
  readonly op:
    | "unsubscribed"
    | "pong"
    | "hello"
    | "state"
    | "dropped"
    | "heartbeat"
    | "presence"
    | "join"
    | "leave"
    | "refreshed"
    | "drain";
}

/** What the page hears. */
export type ServerFrame = SubscribedFrame | EventFrame | ErrorFrame | OtherFrame;
