import { Checksum, rowHash } from "./checksum.js";
import { QUERIES } from "./queries.js";

/**
 * The queries in DuckDB's SQL over `event`, one row an event in the order of the file (`seq`), with the latest mark before it (`markMs`).
 * Columns are named as in `QUERIES`. An event late for some of q5's overlapping windows counts in the others.
 */
const BIDS = "bid AS (SELECT * FROM event WHERE event_type = 2)";
const AUCTIONS = "auc AS (SELECT * FROM event WHERE event_type = 1)";
const PEOPLE = "person AS (SELECT * FROM event WHERE event_type = 0)";
const VALID = `${BIDS}, ${AUCTIONS}, valid AS (
  SELECT a.*, b.bidder AS b_bidder, b.price AS b_price, b.dateTime AS b_time, b.seq AS b_seq
  FROM auc a JOIN bid b ON b.auction = a.id AND b.dateTime BETWEEN a.dateTime AND a.expires)`;
const DAY = "dateTime // 86400000 * 86400000";
const DAILY = ["", "price < 10000", "price >= 10000 AND price < 1000000", "price >= 1000000"]
  .map((band, i) => {
    const rank = i === 0 ? "total" : `rank${i}`;
    const filter = band === "" ? "" : ` FILTER (WHERE ${band})`;
    return `count(*)${filter} AS ${rank}_bids, count(DISTINCT bidder)${filter} AS ${rank}_bidders, count(DISTINCT auction)${filter} AS ${rank}_auctions`;
  })
  .join(", ");

const SQL: Readonly<Record<string, string>> = {
  q0: `WITH ${BIDS} SELECT auction, bidder, price, dateTime, extra FROM bid`,
  q1: `WITH ${BIDS} SELECT auction, bidder, price * 908 / 1000 AS price, dateTime, extra FROM bid`,
  q2: `WITH ${BIDS} SELECT auction, price FROM bid WHERE auction % 123 = 0`,
  q3: `WITH ${AUCTIONS}, ${PEOPLE} SELECT p.name, p.city, p.state, a.id FROM auc a JOIN person p ON a.seller = p.id WHERE a.category = 10 AND p.state IN ('OR', 'ID', 'CA')`,
  q4: `WITH ${VALID}, final AS (SELECT id, category, max(b_price) AS high FROM valid GROUP BY id, category) SELECT category, avg(high) AS avg FROM final GROUP BY category`,
  q5: `WITH ${BIDS}, w AS (SELECT auction, markMs, unnest(range(dateTime // 2000 * 2000 - 8000, dateTime // 2000 * 2000 + 1, 2000)) AS startMs FROM bid),
    n AS (SELECT auction, startMs, count(*) AS n FROM w WHERE markMs IS NULL OR startMs + 10000 > markMs GROUP BY auction, startMs)
    SELECT auction, n, startMs FROM n WHERE n = (SELECT max(m.n) FROM n m WHERE m.startMs = n.startMs)`,
  q7: `WITH ${BIDS}, w AS (SELECT max(price) AS price, dateTime // 10000 * 10000 + 10000 AS endMs FROM bid GROUP BY endMs)
    SELECT b.auction, b.bidder, b.price, b.dateTime, b.extra FROM bid b JOIN w ON b.price = w.price AND b.dateTime BETWEEN w.endMs - 10000 AND w.endMs`,
  q8: `WITH ${AUCTIONS}, ${PEOPLE}, p AS (SELECT DISTINCT id, name, dateTime // 10000 * 10000 AS startMs FROM person), s AS (SELECT DISTINCT seller, dateTime // 10000 * 10000 AS startMs FROM auc)
    SELECT p.id, p.name, p.startMs FROM p JOIN s ON p.id = s.seller AND p.startMs = s.startMs`,
  q9: `WITH ${VALID} SELECT id, itemName, description, initialBid, reserve, dateTime, expires, seller, category, extra, b_bidder AS bidder, b_price AS price, b_time AS bidTime
    FROM valid QUALIFY row_number() OVER (PARTITION BY id ORDER BY b_price DESC, b_time, b_seq) = 1`,
  q11: `WITH ${BIDS}, g AS (SELECT bidder, dateTime, CASE WHEN dateTime - lag(dateTime) OVER (PARTITION BY bidder ORDER BY dateTime, seq) < 10000 THEN 0 ELSE 1 END AS new FROM bid),
    s AS (SELECT bidder, dateTime, sum(new) OVER (PARTITION BY bidder ORDER BY dateTime ROWS UNBOUNDED PRECEDING) AS n FROM g)
    SELECT bidder AS key, count(*) AS n, min(dateTime) AS startMs, max(dateTime) + 10000 AS endMs FROM s GROUP BY bidder, s.n`,
  q13: `WITH ${BIDS} SELECT auction, bidder, price, dateTime, 'side ' || (auction % 10000) AS value FROM bid`,
  q14: `WITH ${BIDS} SELECT auction, bidder, price * 908 / 1000 AS price, CASE WHEN dateTime // 3600000 % 24 BETWEEN 8 AND 18 THEN 'dayTime' WHEN dateTime // 3600000 % 24 <= 6 OR dateTime // 3600000 % 24 >= 20 THEN 'nightTime' ELSE 'otherTime' END AS part,
    dateTime, extra, length(extra) - length(replace(extra, 'c', '')) AS c FROM bid WHERE price * 908 > 1000000000 AND price * 908 < 50000000000`,
  q15: `WITH ${BIDS} SELECT ${DAY} AS startMs, ${DAILY} FROM bid GROUP BY startMs`,
  q16: `WITH ${BIDS} SELECT channel AS key, ${DAY} AS startMs, max(dateTime % 86400000 // 60000) AS minute, ${DAILY} FROM bid GROUP BY channel, startMs`,
  q17: `WITH ${BIDS} SELECT auction AS key, ${DAY} AS startMs, count(*) AS total, count(*) FILTER (WHERE price < 10000) AS rank1, count(*) FILTER (WHERE price >= 10000 AND price < 1000000) AS rank2,
    count(*) FILTER (WHERE price >= 1000000) AS rank3, min(price) AS low, max(price) AS high, avg(price) AS mean, sum(price)::BIGINT AS sum FROM bid GROUP BY auction, startMs`,
  q18: `WITH ${BIDS} SELECT auction, bidder, price, channel, url, dateTime, extra FROM bid QUALIFY row_number() OVER (PARTITION BY bidder, auction ORDER BY dateTime DESC, seq DESC) = 1`,
  q19: `WITH ${BIDS} SELECT auction, bidder, price, dateTime, extra, row_number() OVER (PARTITION BY auction ORDER BY price DESC, dateTime, seq) AS rank FROM bid QUALIFY rank <= 10`,
  q20: `WITH ${BIDS}, ${AUCTIONS} SELECT b.auction, b.bidder, b.price, b.channel, b.url, b.dateTime AS bidTime, b.extra AS bidExtra, a.itemName, a.description, a.initialBid, a.reserve, a.dateTime, a.expires, a.seller, a.category, a.extra
    FROM bid b JOIN auc a ON b.auction = a.id WHERE a.category = 10`,
  q21: `WITH ${BIDS} SELECT auction, bidder, price, channel, CASE lower(channel) WHEN 'apple' THEN '0' WHEN 'google' THEN '1' WHEN 'facebook' THEN '2' WHEN 'baidu' THEN '3' ELSE regexp_extract(url, '[&?]channel_id=([^&]*)', 1) END AS channelId
    FROM bid WHERE lower(channel) IN ('apple', 'google', 'facebook', 'baidu') OR regexp_matches(url, '[&?]channel_id=')`,
  q22: `WITH ${BIDS} SELECT auction, bidder, price, channel, split_part(url, '/', 4) AS dir1, split_part(url, '/', 5) AS dir2, split_part(url, '/', 6) AS dir3 FROM bid`,
};

const COLUMNS = {
  event_type: "BIGINT",
  dateTime: "BIGINT",
  id: "BIGINT",
  name: "VARCHAR",
  city: "VARCHAR",
  state: "VARCHAR",
  itemName: "VARCHAR",
  description: "VARCHAR",
  initialBid: "BIGINT",
  reserve: "BIGINT",
  expires: "BIGINT",
  seller: "BIGINT",
  category: "BIGINT",
  extra: "VARCHAR",
  auction: "BIGINT",
  bidder: "BIGINT",
  price: "BIGINT",
  channel: "VARCHAR",
  url: "VARCHAR",
  mark: "BIGINT",
};

interface Reader {
  getRowObjectsJS(): Record<string, unknown>[];
}

interface Connection {
  run(sql: string): Promise<unknown>;
  runAndReadAll(sql: string): Promise<Reader>;
}

export interface Oracle {
  /** Rows and checksum of a query over the whole file. `where` leaves events out (a condition on the columns, `seq` among them). */
  answer(query: string, where?: string): Promise<string>;
}

/** DuckDB over a file of events and marks (`{"mark":ms}`), one JSON object a line. `duckdb` is the module `@duckdb/node-api`. */
export async function duckdbOracle(
  duckdb: { DuckDBInstance: { create(path: string): Promise<{ connect(): Promise<Connection> }> } },
  file: string,
): Promise<Oracle> {
  const connection = await (await duckdb.DuckDBInstance.create(":memory:")).connect();
  const columns = Object.entries(COLUMNS).map(([name, type]) => `${name}: '${type}'`);
  const read = `read_json('${file}', format = 'newline_delimited', columns = {${columns.join(", ")}})`;
  await connection.run("SET threads = 1");
  await connection.run(`CREATE TABLE every AS
    WITH line AS (SELECT row_number() OVER () AS line, * FROM ${read}),
    marked AS (SELECT *, max(mark) OVER (ORDER BY line ROWS UNBOUNDED PRECEDING) AS markMs FROM line)
    SELECT row_number() OVER (ORDER BY line) AS seq, * FROM marked WHERE mark IS NULL`);
  return {
    async answer(query, where = "true") {
      const sql = SQL[query];
      const columns = QUERIES[query]?.columns;
      if (sql === undefined || columns === undefined) throw new RangeError(`there is no query ${query}`);
      await connection.run(`CREATE OR REPLACE VIEW event AS SELECT * FROM every WHERE ${where}`);
      const rows = (await connection.runAndReadAll(sql)).getRowObjectsJS();
      const hash = rowHash<Record<string, unknown>>(columns);
      const checksum = new Checksum();
      for (const row of rows) {
        for (const column of columns) if (typeof row[column] === "bigint") row[column] = Number(row[column]);
        checksum.add(hash(row), 1);
      }
      return checksum.toString();
    },
  };
}
