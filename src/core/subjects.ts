import { MillraceError } from "./errors.js";

const FNV_BASIS = 0x811c9dc5;
const PLAIN = /^[A-Za-z0-9_-]+$/;
const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });

/** The token that stands for "unknown" where a delivery does not say which site, equipment or repository it is about. */
export const UNKNOWN_TOKEN = "-";

/**
 * Makes one NATS subject token of any text: bytes outside `[A-Za-z0-9_-]` become `%XX` (UTF-8). Empty text becomes `%`.
 * Round trip: `decodeToken(encodeToken(text)) === text` for every well-formed string.
 */
export function encodeToken(text: string): string {
  if (PLAIN.test(text)) return text;
  if (text === "") return "%";
  let token = "";
  for (const byte of encoder.encode(text)) {
    const char = String.fromCharCode(byte);
    token += PLAIN.test(char) ? char : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return token;
}

/** Errors: MR_REQUEST_INVALID when `token` is not something `encodeToken` writes. */
export function decodeToken(token: string): string {
  if (token === "%") return "";
  if (!token.includes("%")) return token;
  const bytes: number[] = [];
  for (let i = 0; i < token.length; i++) {
    if (token[i] !== "%") {
      bytes.push(token.charCodeAt(i));
      continue;
    }
    const hex = token.slice(i + 1, i + 3);
    if (!/^[0-9A-F]{2}$/.test(hex)) {
      throw new MillraceError("MR_REQUEST_INVALID", `decoding subject token ${token}: bad escape at ${i}`);
    }
    bytes.push(Number.parseInt(hex, 16));
    i += 2;
  }
  try {
    return decoder.decode(Uint8Array.from(bytes));
  } catch (cause) {
    throw new MillraceError("MR_REQUEST_INVALID", `decoding subject token ${token}: not UTF-8`, { cause });
  }
}

/**
 * The partition of a key: 32-bit FNV-1a over the tokens, modulo `partitions`, as nats-server's `{{partition(n,…)}}` computes it over
 * the encoded tokens of a subject (a test compares with the server). O(length).
 */
export function partitionOf(tokens: readonly string[], partitions: number): number {
  return tokens.reduce((hash, token) => fnv1a(token, hash), FNV_BASIS) % partitions;
}

/** 32-bit FNV-1a over UTF-16 code units, 0 to 2^32 - 1; goes on from `hash`. O(length). */
export function fnv1a(text: string, hash = FNV_BASIS): number {
  let mixed = hash;
  for (let i = 0; i < text.length; i++) mixed = Math.imul(mixed ^ text.charCodeAt(i), 0x01000193);
  return mixed >>> 0;
}
