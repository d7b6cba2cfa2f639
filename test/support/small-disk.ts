import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const MB = 1024 * 1024;

/** A disk of its own, really full when it is full. */
export interface SmallDisk {
  readonly path: string;
  /** Another program takes all but so much. */
  fill(freeBytes: number): void;
  /** The other program's files are gone. */
  empty(): void;
  /** It gets smaller, as if somebody had filled it, or larger. */
  resize(sizeBytes: number): void;
  usedBytes(): number;
  remove(): void;
}

/** Undefined where we may not mount one. It takes memory only as it fills. */
export function smallDisk(sizeMb: number): SmallDisk | undefined {
  const path = mkdtempSync(join(tmpdir(), "millrace-disk-"));
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${sizeMb}m`, "tmpfs", path], { stdio: "ignore" });
  } catch {
    rmSync(path, { recursive: true });
    return undefined;
  }
  const filler = join(path, "filler");
  return {
    path,
    fill(freeBytes) {
      const { bavail, bsize } = statfsSync(path);
      for (let left = bavail * bsize - freeBytes; left > 0; left -= 64 * MB)
        writeFileSync(filler, Buffer.alloc(Math.min(left, 64 * MB)), { flag: "a" });
    },
    empty: () => rmSync(filler),
    resize: (sizeBytes) => void execFileSync("mount", ["-o", `remount,size=${sizeBytes}`, path]),
    usedBytes() {
      const { blocks, bfree, bsize } = statfsSync(path);
      return (blocks - bfree) * bsize;
    },
    remove() {
      execFileSync("umount", ["-l", path]);
      rmSync(path, { recursive: true });
    },
  };
}
