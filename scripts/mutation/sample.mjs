// Which mutants a sampled run tries: a function of the mutant's number and the seed alone, so that workers and report agree.

/** @param share of mutants to try, 0 to 1. @param only the numbers of those to try, where they are known */
export function isSampled({ id }, share, seed, only) {
  if (only !== undefined) return only.includes(id);
  return share >= 1 || fraction(`${seed} ${id}`) < share;
}

/** 32-bit FNV-1a, mixed, as a fraction. */
function fraction(text) {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return ((hash ^ (hash >>> 16)) >>> 0) / 0x1_0000_0000;
}
