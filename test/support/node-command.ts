/** File and arguments that run a script in a Node process of its own; `npm test` counts coverage there too. */
export function nodeCommand(...args: readonly string[]): [file: string, args: string[]] {
  return [process.execPath, [...args]];
}
