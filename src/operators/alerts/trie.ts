import { fnv1a } from "../../core/index.js";

/**
 * A map from text that is never changed in place: plain data, so that a process function can keep it. An empty one is `[]`.
 *
 * Shape: up to eight entries in a list, else sixteen maps by four bits of the key's hash (FNV-1a), and so on.
 * Cost:  O(log n) to find, put and drop; a record copied with one field more is O(n).
 * Order: of `entriesOf` neither by key nor by arrival, but the same after the state was saved and read. Sort what shows.
 */
export type Trie<V> = Leaf<V> | Branch<V>;

type Entry<V> = readonly [key: string, value: V];
type Leaf<V> = readonly Entry<V>[];

interface Branch<V> {
  readonly size: number;
  readonly kids: readonly Trie<V>[];
}

const LEAF_MOST = 8;
const BITS = 4;
const KIDS = 1 << BITS;
const HASH_BITS = 32;

export function get<V>(trie: Trie<V>, key: string): V | undefined {
  let at = trie;
  for (let hash = fnv1a(key); isBranch(at); hash >>>= BITS) at = at.kids[hash % KIDS] as Trie<V>;
  return at.find(([known]) => known === key)?.[1];
}

export function put<V>(trie: Trie<V>, key: string, value: V): Trie<V> {
  return putAt(trie, [key, value], fnv1a(key), 0);
}

export function drop<V>(trie: Trie<V>, key: string): Trie<V> {
  return dropAt(trie, key, fnv1a(key));
}

export function sizeOf<V>(trie: Trie<V>): number {
  return isBranch(trie) ? trie.size : trie.length;
}

export function* entriesOf<V>(trie: Trie<V>): Generator<Entry<V>> {
  if (isBranch(trie)) for (const kid of trie.kids) yield* entriesOf(kid);
  else yield* trie;
}

export function trieOf<V>(entries: Iterable<Entry<V>>): Trie<V> {
  let trie: Trie<V> = [];
  for (const [key, value] of entries) trie = put(trie, key, value);
  return trie;
}

function putAt<V>(trie: Trie<V>, entry: Entry<V>, hash: number, depth: number): Trie<V> {
  const [key] = entry;
  if (isBranch(trie)) {
    const i = hash % KIDS;
    const before = trie.kids[i] as Trie<V>;
    const kid = putAt(before, entry, hash >>> BITS, depth + 1);
    return { size: trie.size + sizeOf(kid) - sizeOf(before), kids: trie.kids.with(i, kid) };
  }
  const at = trie.findIndex(([known]) => known === key);
  if (at >= 0) return trie.with(at, entry);
  if (trie.length < LEAF_MOST || depth * BITS >= HASH_BITS) return [...trie, entry];
  const kids: Entry<V>[][] = Array.from({ length: KIDS }, () => []);
  for (const each of [...trie, entry]) (kids[kidOf(each[0], depth)] as Entry<V>[]).push(each);
  return { size: trie.length + 1, kids };
}

function dropAt<V>(trie: Trie<V>, key: string, hash: number): Trie<V> {
  if (!isBranch(trie)) return trie.some(([known]) => known === key) ? trie.filter(([known]) => known !== key) : trie;
  const i = hash % KIDS;
  const before = trie.kids[i] as Trie<V>;
  const kid = dropAt(before, key, hash >>> BITS);
  if (kid === before) return trie;
  const left = { size: trie.size - 1, kids: trie.kids.with(i, kid) };
  return left.size > LEAF_MOST ? left : [...entriesOf(left)];
}

function isBranch<V>(trie: Trie<V>): trie is Branch<V> {
  return !Array.isArray(trie);
}

function kidOf(key: string, depth: number): number {
  return (fnv1a(key) >>> (depth * BITS)) % KIDS;
}
