// npm run build: packages if they are missing, types, JavaScript, the page.
import "./node-version.mjs";

const { ensureBuilt, ensureInstalled } = await import("./setup.mjs");
await ensureInstalled();
await ensureBuilt();
