import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";

/** Where the system gets its own packages from, and the key that signs them. */
export interface PackageSource {
  readonly distribution: "debian" | "ubuntu";
  readonly uri: string;
  readonly codename: string;
  readonly components: readonly string[];
  /** Undefined: apt's own trusted keys. */
  readonly signedBy: string | undefined;
}

interface Entry {
  readonly uris: readonly string[];
  readonly suites: readonly string[];
  readonly signedBy: string | undefined;
}

/** The source of the system's main suite as configured below `<etcDir>/apt`. Undefined when it is neither Debian nor Ubuntu. */
export async function readPackageSource(etcDir: string): Promise<PackageSource | undefined> {
  const release = parseOsRelease(await readFile(join(etcDir, "os-release"), "utf8").catch(() => ""));
  const ids = `${release["ID"] ?? ""} ${release["ID_LIKE"] ?? ""}`.split(" ");
  const distribution = ids.includes("ubuntu") ? "ubuntu" : ids.includes("debian") ? "debian" : undefined;
  const codename = release["UBUNTU_CODENAME"] ?? release["DEBIAN_CODENAME"] ?? release["VERSION_CODENAME"];
  if (distribution === undefined || codename === undefined) return undefined;
  for (const { uris, suites, signedBy } of await readEntries(join(etcDir, "apt"))) {
    const uri = uris.find((candidate) => /^https?:\/\//.test(candidate));
    if (uri === undefined || !suites.includes(codename)) continue;
    const components = distribution === "ubuntu" ? ["main", "universe"] : ["main"];
    return { distribution, uri, codename, components, signedBy: signedBy ?? (await findKeyring(distribution)) };
  }
  return undefined;
}

async function findKeyring(distribution: string): Promise<string | undefined> {
  const path = `/usr/share/keyrings/${distribution}-archive-keyring.gpg`;
  return readFile(path).then(
    () => path,
    () => undefined,
  );
}

async function readEntries(aptDir: string): Promise<readonly Entry[]> {
  const parts = join(aptDir, "sources.list.d");
  const names = (await readdir(parts).catch(() => [])).sort();
  const paths = [join(aptDir, "sources.list"), ...names.map((name) => join(parts, name))];
  const entries: Entry[] = [];
  for (const path of paths) {
    const text = await readFile(path, "utf8").catch(() => "");
    if (path.endsWith(".list")) entries.push(...parseOneLineSources(text));
    if (path.endsWith(".sources")) entries.push(...parseDeb822Sources(text));
  }
  return entries;
}

/** `deb [signed-by=/k.gpg arch=amd64] http://mirror/debian bookworm main` (sources.list(5), one-line style). */
export function parseOneLineSources(text: string): readonly Entry[] {
  return text.split("\n").flatMap((line) => {
    const match = /^\s*deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)/.exec(line);
    if (!match?.[2] || !match[3]) return [];
    const signedBy = /(?:^|\s)signed-by=(\S+)/i.exec(match[1] ?? "")?.[1];
    return [{ uris: [match[2]], suites: [match[3]], signedBy }];
  });
}

/** Stanzas of `Field: value` lines, parted by empty lines (sources.list(5), deb822 style). */
export function parseDeb822Sources(text: string): readonly Entry[] {
  return text.split(/\n\s*\n/).flatMap((stanza) => {
    const lines = stanza.split("\n").filter((line) => !line.startsWith("#"));
    const fields = new Map<string, string>();
    for (const line of lines) {
      const match = /^([A-Za-z-]+):\s*(.*)$/.exec(line);
      if (match?.[1]) fields.set(match[1].toLowerCase(), (match[2] ?? "").trim());
    }
    const words = (name: string): string[] => (fields.get(name) ?? "").split(/\s+/).filter((word) => word !== "");
    if (!words("types").includes("deb") || fields.get("enabled") === "no") return [];
    // A key written into the stanza itself spans several lines; only a file can be named again.
    const signedBy = words("signed-by").find((word) => word.startsWith("/"));
    return [{ uris: words("uris"), suites: words("suites"), signedBy }];
  });
}

function parseOsRelease(text: string): Readonly<Record<string, string>> {
  const pairs = text.split("\n").flatMap((line) => {
    const match = /^([A-Z_]+)=(?:"([^"]*)"|(.*))$/.exec(line.trim());
    return match?.[1] ? [[match[1], match[2] ?? match[3] ?? ""] as const] : [];
  });
  return Object.fromEntries(pairs);
}
