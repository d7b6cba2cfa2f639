/** Exit codes of every command; `millrace --help` documents them. */
export const EXIT = { done: 0, failed: 1, usage: 2, found: 3 } as const;
