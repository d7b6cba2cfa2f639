// What is shipped for servers, checked as far as that is possible without any: compose by the real docker compose, nats.conf by
// the real nats-server, the dashboard's queries by a real ClickHouse with our real tables.
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { CONFIG_HELP, packageRoot } from "../src/core/index.js";
import { connectClickhouse, createClickhouseSink, createQueryRunner, TABLES } from "../src/sinks/index.js";
import { findCompose } from "./support/compose.js";
import { natsBinary } from "./support/nats.js";
import { listFiles, readText } from "./support/source-tree.js";

const ROOT = packageRoot();
const SECRETS = [...readText(".env.example").matchAll(/^([A-Z_]+)=$/gm)].map(([, name]) => name as string);

interface Compose {
  readonly services: Readonly<Record<string, Service>>;
  readonly volumes: Readonly<Record<string, unknown>>;
}

interface Service {
  readonly image?: string;
  readonly environment?: Readonly<Record<string, string>>;
  readonly ports?: readonly { readonly host_ip?: string; readonly published: string; readonly target: number }[];
  readonly volumes?: readonly { readonly type: string; readonly source: string; readonly read_only?: boolean }[];
  readonly healthcheck?: { readonly test: readonly string[] };
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
}

t.test("docker-compose.yml, read by docker compose", async (t) => {
  const compose = await findCompose();
  if (compose.kind === "missing") return t.plan(0, compose.reason);
  const [file, ...first] = compose.command;
  const config = (values: Readonly<Record<string, string>>): string => {
    const env = { PATH: process.env["PATH"], HOME: process.env["HOME"], ...values };
    const args = [
      ...first,
      "--env-file",
      "/dev/null",
      "-f",
      join(ROOT, "docker-compose.yml"),
      "config",
      "--format",
      "json",
    ];
    return execFileSync(file, args, { env, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  };
  const filledIn = Object.fromEntries(SECRETS.map((name) => [name, `secret-of-${name.toLowerCase()}`]));
  const { services, volumes } = JSON.parse(config(filledIn)) as Compose;

  t.same(Object.keys(services).sort(), ["clickhouse", "grafana", "millrace", "mosquitto", "nats"]);
  for (const [name, service] of Object.entries(services)) {
    t.match(service.image, /^[\w./-]+:\d+\.\d+\.\d+[\w.-]*$/, `${name}: the image is pinned to a version`);
    t.ok(service.healthcheck, `${name}: has a health check`);
    for (const { host_ip } of service.ports ?? []) t.equal(host_ip, "127.0.0.1", `${name}: ports are on loopback`);
    for (const { type, source, read_only } of service.volumes ?? []) {
      if (type === "volume") t.ok(source in volumes, `${name}: the volume ${source} is declared`);
      else t.ok(existsSync(source) && read_only, `${name}: ${source.slice(ROOT.length + 1)} exists and is read-only`);
    }
    for (const [other, { condition }] of Object.entries(service.depends_on ?? {}))
      t.equal(condition, "service_healthy", `${name} waits until ${other} is healthy`);
  }
  const known = Object.values(CONFIG_HELP).map(({ env }) => env);
  t.same(
    Object.keys(services["millrace"]?.environment ?? {}).filter((name) => !known.includes(name)),
    [],
  );
  t.equal(services["nats"]?.environment?.["NATS_PASSWORD"], '"secret-of-nats_password"', "quoted for nats.conf");

  for (const missing of SECRETS) {
    const { [missing]: _left, ...rest } = filledIn;
    t.throws(() => config(rest), { message: new RegExp(missing) }, `without ${missing} nothing starts`);
  }
});

t.test("no secret is written into what is shipped", async (t) => {
  t.ok(SECRETS.length >= 5, ".env.example lists the secrets, empty");
  const shipped = ["docker-compose.yml", "Dockerfile", ...listFiles("deploy")];
  const assignment = /(?:password|secret|token)["']?\s*[:=]\s*["']?(?!\$|["']|\/)[A-Za-z0-9]{3,}/i;
  const found = shipped.flatMap((path) =>
    readText(path)
      .split("\n")
      .filter((line) => !/^\s*#/.test(line) && assignment.test(line))
      .map((line) => `${path}: ${line.trim()}`),
  );
  t.same(found, []);
});

t.test("deploy/nats/nats.conf is accepted by nats-server, also with a password of digits", async (t) => {
  const conf = join(ROOT, "deploy/nats/nats.conf");
  const check = (env: NodeJS.ProcessEnv): string =>
    execFileSync(natsBinary(), ["-t", "-c", conf], { env, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  t.doesNotThrow(() => check({ NATS_PASSWORD: '"0123e5"' }));
  t.throws(() => check({}), "an unset password is refused");
});

t.test("the Dockerfile copies what exists, pins its base and does not run as root", async (t) => {
  const lines = readText("Dockerfile").replace(/\\\n/g, " ").split("\n");
  const bases = lines.flatMap((line) => /^FROM (\S+)/.exec(line)?.[1] ?? []);
  t.equal(new Set(bases).size, 1, "both stages on one base");
  t.match(bases[0], /^node:20\.\d+\.\d+-bookworm-slim$/);
  t.equal(
    lines.findLast((line) => line.startsWith("USER ")),
    "USER node",
  );
  const packages = listFiles("packages", "json").filter((path) => /^packages\/[^/]+\/package\.json$/.test(path));
  for (const path of packages) t.ok(readText("Dockerfile").includes(`COPY ${path} `), `${path} is there before npm ci`);
  for (const line of lines) {
    const sources = /^COPY (?!--)(.+) \S+$/.exec(line)?.[1]?.split(" ") ?? [];
    for (const source of sources) t.ok(existsSync(join(ROOT, source)), `COPY ${source}`);
  }
  const ignored = readText(".dockerignore").split("\n");
  for (const name of [".env", ".git", "data", "**/node_modules"]) t.ok(ignored.includes(name), `${name} stays out`);
});

t.test("every query of the Grafana dashboard runs on our tables", async (t) => {
  const dashboard = JSON.parse(readText("dashboards/grafana/millrace.json")) as Dashboard;
  const datasource = readText("deploy/grafana/provisioning/datasources/clickhouse.yaml");
  const uid = /^ {4}uid: (\S+)$/m.exec(datasource)?.[1];
  const sources = readAllSources();
  const clickhouse = await connectClickhouse({ path: t.testdir({}) });
  t.teardown(() => clickhouse.close());
  await createClickhouseSink(clickhouse).open();
  const query = createQueryRunner(clickhouse);
  const panels = dashboard.panels.flatMap(({ title, targets }) =>
    targets.map(({ rawSql, datasource }) => ({ title, sql: rawSql, source: datasource })),
  );
  const variables = dashboard.templating.list.map(({ name, query: sql, datasource }) => ({
    title: name,
    sql,
    source: datasource,
  }));
  for (const { title, sql, source } of [...panels, ...variables]) {
    t.equal(source.uid, uid, `${title}: asks the provisioned data source`);
    for (const [, feature] of sql.matchAll(/feature = '([^']+)'/g))
      t.ok(sources.includes(`"${feature}"`), `${feature} exists`);
    await t.resolves(query(asGrafanaWould(sql)), `${title}: ${sql.split("\n")[0]}`);
  }
  const tables = panels.flatMap(({ sql }) => [...sql.matchAll(/\bFROM (\w+)/g)].map(([, name]) => name));
  for (const name of ["features", "alerts", "readings"]) t.ok(tables.includes(name), `${name} is on the dashboard`);
  t.same(
    [...new Set(tables)].filter((name) => !TABLES.some((table) => table.name === name)),
    [],
  );
});

interface Dashboard {
  readonly panels: readonly {
    readonly title: string;
    readonly targets: readonly { readonly rawSql: string; readonly datasource: { readonly uid: string } }[];
  }[];
  readonly templating: {
    readonly list: readonly {
      readonly name: string;
      readonly query: string;
      readonly datasource: { readonly uid: string };
    }[];
  };
}

/** The macros of the ClickHouse data source and the dashboard's variables, filled in. */
function asGrafanaWould(sql: string): string {
  return sql
    .replace(/\$__timeFilter\((\w+)\)/g, "$1 >= toDateTime(0) AND $1 <= toDateTime(4000000000)")
    .replace(/\$__timeInterval\((\w+)\)/g, "toStartOfInterval(toDateTime($1), INTERVAL 60 second)")
    .replace(/\$\{\w+:singlequote\}/g, "'a','b'");
}

function readAllSources(): string {
  return listFiles("src", "ts")
    .map((path) => readFileSync(join(ROOT, path), "utf8"))
    .join("\n");
}
