import type { QueryAnswer } from "./wire.js";

/** `refused`: the key is wrong. `failed`: try again later; what is shown stays. */
export type Asked =
  | { readonly kind: "rows"; readonly rows: QueryAnswer["rows"] }
  | { readonly kind: "refused" }
  | { readonly kind: "failed"; readonly reason: string };

const TIMEOUT_MS = 10_000;

export type Ask = (sql: string) => Promise<Asked>;

/** Read-only SQL over `POST /api/v1/query`. Never rejects. */
export function createAsk(key: string): Ask {
  const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" };
  return async (sql) => {
    try {
      const signal = AbortSignal.timeout(TIMEOUT_MS);
      const response = await fetch("/api/v1/query", { method: "POST", headers, body: JSON.stringify({ sql }), signal });
      if (response.status === 401) return { kind: "refused" };
      if (!response.ok) return { kind: "failed", reason: `query answered ${response.status}` };
      return { kind: "rows", rows: ((await response.json()) as QueryAnswer).rows };
    } catch (error) {
      return { kind: "failed", reason: (error as Error).message };
    }
  };
}
