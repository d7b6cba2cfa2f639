// npm run build: packages if they are missing, types, JavaScript, the page.
import "./node-version.mjs";

try {
  const { ensureBuilt, ensureInstalled } = await import("./setup.mjs");
  await ensureInstalled();
  await ensureBuilt();
} catch (error) {
  console.error(`npm run build: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
}
