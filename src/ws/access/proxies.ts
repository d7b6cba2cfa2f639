import { BlockList, isIP, isIPv6 } from "node:net";
import { MillraceError } from "../../core/index.js";
import type { RequestHead } from "../transport.js";

/**
 * Where a request comes from when proxies stand in between: the last address in X-Forwarded-For that is not one of `trusted`
 * (addresses, or networks such as 10.0.0.0/8). What stands before it, anybody may have written. Without trusted proxies the header is
 * not read. Errors: MR_OPTION_INVALID.
 */
export function clientAddress(trusted: readonly string[]): (head: RequestHead) => string {
  const proxies = new BlockList();
  for (const entry of trusted) add(proxies, entry);
  const isProxy = (address: string) => isIP(address) !== 0 && proxies.check(address, isIPv6(address) ? "ipv6" : "ipv4");
  return (head) => {
    let address = head.remoteAddress;
    const hops = trusted.length === 0 ? [] : (head.header("x-forwarded-for")?.split(",") ?? []);
    for (let hop = hops.pop(); hop !== undefined && isProxy(address); hop = hops.pop()) {
      if (isIP(hop.trim()) === 0) break;
      address = hop.trim();
    }
    return address;
  };
}

function add(list: BlockList, entry: string): void {
  const [address = "", bits] = entry.split("/");
  const family = isIPv6(address) ? "ipv6" : "ipv4";
  try {
    if (bits === undefined) list.addAddress(address, family);
    else list.addSubnet(address, Number(bits), family);
  } catch (cause) {
    throw new MillraceError(
      "MR_OPTION_INVALID",
      `trusted proxy ${entry}: must be an address or a network such as 10.0.0.0/8`,
      {
        cause,
      },
    );
  }
}
