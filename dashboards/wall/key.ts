/** The local key: it comes in the page's address, moves to this tab's storage and leaves the address bar. */

const STORED = "millrace.key";

/** Undefined when neither the address nor this tab has one. */
export function takeKey(): string | undefined {
  const address = new URL(location.href);
  const given = address.searchParams.get("key") ?? undefined;
  if (given === undefined) return read();
  write(given);
  address.searchParams.delete("key");
  history.replaceState(null, "", address);
  return given;
}

/** A browser may forbid storage: then the key lasts as long as the page. */
function read(): string | undefined {
  try {
    return sessionStorage.getItem(STORED) ?? undefined;
  } catch {
    return undefined;
  }
}

function write(key: string): void {
  try {
    sessionStorage.setItem(STORED, key);
  } catch {
    // Kept in memory by the caller; a reload will need the address again.
  }
}
