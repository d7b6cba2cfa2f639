import { type LookupAddress, lookup as systemLookup } from "node:dns";
import { type ClientRequest, request as httpRequest, type IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";
import { isIP, type LookupFunction } from "node:net";
import ipaddr from "ipaddr.js";
import { MillraceError, reasonOf } from "../../core/index.js";

/** An answer is read up to here: receivers say some words. */
const ANSWER_BYTES_MAX = 256 * 1024;

export interface OutgoingOptions {
  /** Networks (`10.0.0.0/8`, `::1/128`) that may be spoken to although they are not public, and without TLS. @default none */
  readonly allow?: readonly string[];
  /** From the first byte to the last of the answer. @default 10000 */
  readonly timeoutMs?: number;
  /** Replaced in tests, to answer as an attacker's name server would. */
  readonly lookup?: (host: string) => Promise<readonly LookupAddress[]>;
}

export interface OutgoingRequest {
  readonly method: "GET" | "POST";
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
}

export type OutgoingAnswer =
  | {
      readonly kind: "answer";
      readonly status: number;
      readonly retryAfterMs: number | undefined;
      readonly body: string;
    }
  /** The address is not one we speak to. */
  | { readonly kind: "forbidden"; readonly reason: string }
  /** Nothing of the request reached anybody. */
  | { readonly kind: "unsent"; readonly reason: string }
  /** The request may have been read; no answer. */
  | { readonly kind: "unanswered"; readonly reason: string };

/**
 * HTTP to receivers outside, and to nobody else: names are looked up here, every address is checked, and the connection goes to the
 * address that was checked, so a name that changes its mind gains nothing. Redirects are not followed. Reasons name the host at most:
 * the rest of a webhook's address is its password.
 */
export class Outgoing {
  readonly #allowed: readonly [ipaddr.IPv4 | ipaddr.IPv6, number][];
  readonly #timeoutMs: number;
  readonly #lookup: (host: string) => Promise<readonly LookupAddress[]>;

  constructor({ allow = [], timeoutMs = 10_000, lookup = lookupAll }: OutgoingOptions = {}) {
    this.#allowed = allow.map(network);
    this.#timeoutMs = timeoutMs;
    this.#lookup = lookup;
  }

  /** The addresses of a host, all of them allowed. Rejects with MR_REQUEST_INVALID for one that is not, or an Error of the resolver. */
  async addresses(host: string): Promise<readonly [LookupAddress, ...LookupAddress[]]> {
    const bare = host.replace(/^\[|\]$/g, "");
    const family = isIP(bare);
    const found = family === 0 ? await this.#lookup(bare) : [{ address: bare, family }];
    for (const { address } of found) {
      if (!this.#mayReach(address)) {
        throw new MillraceError(
          "MR_REQUEST_INVALID",
          `sending to ${bare}: it is at ${address}, which is not a public address; allow its network if that is meant`,
        );
      }
    }
    const [first, ...others] = found;
    if (first === undefined) throw new Error(`${bare} has no address`);
    return [first, ...others];
  }

  /** Never rejects. */
  async request({ method, url, headers, body }: OutgoingRequest): Promise<OutgoingAnswer> {
    const { hostname: host } = url;
    if (url.protocol !== "https:" && url.protocol !== "http:") {
      return { kind: "forbidden", reason: `${host}: only http and https are spoken` };
    }
    let addresses: readonly [LookupAddress, ...LookupAddress[]];
    try {
      addresses = await this.addresses(host);
    } catch (error) {
      const reason = reasonOf(error);
      return error instanceof MillraceError ? { kind: "forbidden", reason } : { kind: "unsent", reason };
    }
    if (url.protocol === "http:" && !addresses.every(({ address }) => this.#isAllowed(address))) {
      return { kind: "forbidden", reason: `${host}: https only, outside the allowed networks` };
    }
    return this.#exchange(url, { method, headers, body }, addresses);
  }

  #exchange(
    url: URL,
    { method, headers, body }: { method: string; headers: Readonly<Record<string, string>>; body: string | undefined },
    addresses: readonly [LookupAddress, ...LookupAddress[]],
  ): Promise<OutgoingAnswer> {
    const { hostname: host } = url;
    return new Promise((resolve) => {
      let isConnected = false;
      const bytes = Buffer.from(body ?? "");
      const length = body === undefined ? {} : { "content-length": String(bytes.length) };
      const start = url.protocol === "https:" ? httpsRequest : httpRequest;
      const request: ClientRequest = start(url, {
        method,
        headers: { ...headers, ...length },
        lookup: pinnedTo(addresses),
        agent: false,
      });
      const timer = setTimeout(() => request.destroy(new Error("no answer in time")), this.#timeoutMs);
      const end = (answer: OutgoingAnswer) => {
        clearTimeout(timer);
        resolve(answer);
      };
      const lost = (error: Error) => {
        const reason = `${host}: ${error.message}`;
        end(isConnected ? { kind: "unanswered", reason } : { kind: "unsent", reason });
      };
      request.on("socket", (socket) => {
        socket.once(url.protocol === "https:" ? "secureConnect" : "connect", () => (isConnected = true));
      });
      request.on("error", lost);
      request.on("response", (response) => {
        readText(response).then((text) => {
          const { statusCode: status = 0 } = response;
          if (status >= 300 && status < 400) {
            end({
              kind: "forbidden",
              reason: `${host}: it answered with a redirect (${status}), which is not followed`,
            });
          } else end({ kind: "answer", status, retryAfterMs: retryAfter(response), body: text });
        }, lost);
      });
      request.end(bytes);
    });
  }

  #mayReach(address: string): boolean {
    return ipaddr.parse(address).range() === "unicast" || this.#isAllowed(address);
  }

  #isAllowed(address: string): boolean {
    const parsed = ipaddr.process(address); // ::ffff:10.0.0.1 is 10.0.0.1
    return this.#allowed.some(([base, bits]) => base.kind() === parsed.kind() && parsed.match([base, bits] as never));
  }
}

function network(text: string): [ipaddr.IPv4 | ipaddr.IPv6, number] {
  try {
    return text.includes("/") ? ipaddr.parseCIDR(text) : ipaddr.parseCIDR(`${text}/${text.includes(":") ? 128 : 32}`);
  } catch {
    throw new MillraceError("MR_OPTION_INVALID", `allowed network ${text}: write it as 10.0.0.0/8 or ::1/128`);
  }
}

/** A lookup that answers with what was checked, whatever the name says by now. */
function pinnedTo(addresses: readonly [LookupAddress, ...LookupAddress[]]): LookupFunction {
  return (_host, options, callback) => {
    if (options.all) callback(null, [...addresses]);
    else callback(null, addresses[0].address, addresses[0].family);
  };
}

function lookupAll(host: string): Promise<readonly LookupAddress[]> {
  return new Promise((resolve, reject) => {
    systemLookup(host, { all: true }, (error, found) => (error ? reject(error) : resolve(found)));
  });
}

async function readText(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > ANSWER_BYTES_MAX) throw new Error(`its answer is longer than ${ANSWER_BYTES_MAX} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

/** Seconds or an HTTP date (RFC 9110, 10.2.3). */
function retryAfter({ headers, statusCode }: IncomingMessage): number | undefined {
  const value = headers["retry-after"];
  if (value === undefined || statusCode === undefined) return undefined;
  if (/^\d+$/.test(value)) return Number(value) * 1_000;
  const sentMs = Date.parse(headers.date ?? "");
  const thenMs = Date.parse(value);
  return Number.isNaN(thenMs) || Number.isNaN(sentMs) ? undefined : Math.max(0, thenMs - sentMs);
}
