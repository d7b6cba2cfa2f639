import t from "tap";
import {
  parseDeb822Sources,
  parseOneLineSources,
  readPackageSource,
} from "../../../src/streams/nats-server/debian-sources.js";

const DEB822 = `# a comment
Types: deb deb-src
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /keys/debian.gpg

Types: deb
Enabled: no
URIs: http://off.example/debian
Suites: bookworm

Types: deb
URIs: http://security.example/debian-security
Suites: bookworm-security
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
`;

t.test("both styles of apt sources are understood", async (t) => {
  t.same(parseDeb822Sources(DEB822), [
    { uris: ["http://mirror.example/debian"], suites: ["bookworm", "bookworm-updates"], signedBy: "/keys/debian.gpg" },
    { uris: ["http://security.example/debian-security"], suites: ["bookworm-security"], signedBy: undefined },
  ]);
  const oneLine = [
    "# deb http://commented.example/debian bookworm main",
    "deb-src http://sources.example/debian bookworm main",
    "deb http://a.example/debian bookworm main contrib",
    "deb [arch=amd64 signed-by=/keys/b.gpg] https://b.example/ubuntu noble main",
  ];
  t.same(parseOneLineSources(oneLine.join("\n")), [
    { uris: ["http://a.example/debian"], suites: ["bookworm"], signedBy: undefined },
    { uris: ["https://b.example/ubuntu"], suites: ["noble"], signedBy: "/keys/b.gpg" },
  ]);
});

t.test("the source of the system's own suite is taken, not a third party's", async (t) => {
  const debian = t.testdir({
    "os-release": 'ID=debian\nVERSION_CODENAME=bookworm\nPRETTY_NAME="Debian"\n',
    apt: {
      "sources.list.d": { "aaa.list": "deb https://third.example/x stable main\n", "debian.sources": DEB822 },
    },
  });
  t.same(await readPackageSource(debian), {
    distribution: "debian",
    uri: "http://mirror.example/debian",
    codename: "bookworm",
    components: ["main"],
    signedBy: "/keys/debian.gpg",
  });
});

t.test("a derivative uses the sources of what it derives from", async (t) => {
  const mint = t.testdir({
    "os-release": 'ID=linuxmint\nID_LIKE="ubuntu debian"\nVERSION_CODENAME=wilma\nUBUNTU_CODENAME=noble\n',
    apt: { "sources.list": "deb [signed-by=/k.gpg] http://u.example/ubuntu noble main universe\n" },
  });
  t.match(await readPackageSource(mint), {
    distribution: "ubuntu",
    codename: "noble",
    components: ["main", "universe"],
  });
});

t.test("other systems have none", async (t) => {
  t.equal(await readPackageSource(t.testdir({ "os-release": "ID=alpine\n" })), undefined);
  t.equal(await readPackageSource(t.testdir({})), undefined);
  const unconfigured = t.testdir({ "os-release": "ID=debian\nVERSION_CODENAME=bookworm\n", apt: {} });
  t.equal(await readPackageSource(unconfigured), undefined);
});
