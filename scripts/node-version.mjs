// Imported first and alone, with nothing an old Node would stumble over.
const NEEDED = 20;

if (Number(process.versions.node.split(".")[0]) < NEEDED) {
  console.error(
    `Millrace needs Node ${NEEDED} or newer; this is ${process.versions.node}. Get it from https://nodejs.org`,
  );
  process.exit(1);
}
