import type { Slices } from "./fields.js";
import {
  INPUT_BYTES,
  KEY_BYTES,
  type Kernel,
  LINE_BYTES,
  makeKernel,
  NODE,
  NODES,
  NODES_AT,
  PLAIN,
  TABLES_AT,
  UNKNOWN_KEY,
} from "./line-kernel.js";
import type { Scanner } from "./scan.js";

/** Lines of one turn, and places in each table of one turn. */
const LINES = 1_024;
const PLACES = 16_384;

/**
 * The lines of one message as the kernel reads them: the tables hold what the scanner would say of each plain line, at
 * `base + field`. Which keys follow which is learned from lines the scanner has read.
 */
export class Lines {
  readonly kinds: Uint8Array;
  readonly forms: Uint8Array;
  /** First byte of a text and the byte behind it, by twos; within the turn's input, which begins at byte `origin` of the message. */
  readonly places: Int32Array;
  readonly numbers: Float64Array;
  origin = 0;
  /** Of the line `take` has found: its place in the tables, and its end in the message. */
  base = 0;
  end = 0;

  readonly #run: Kernel;
  readonly #columns: number;
  readonly #lines: number;
  readonly #addresses: readonly [lines: number, kinds: number, forms: number, places: number, numbers: number];
  readonly #input: Uint8Array;
  readonly #records: Int32Array;
  readonly #nodes: DataView;
  #nodeCount = 1;
  /** The message at hand. */
  data = Buffer.alloc(0) as Slices;
  /** How far the turns so far have come in it. */
  reached = 0;
  #found = 0;
  #next = 0;
  /** The line before was refused for a key nobody had seen at its place. */
  #mayLearn = false;

  private constructor(run: Kernel, buffer: ArrayBuffer, fields: number, lines: number) {
    this.#run = run;
    this.#columns = fields + 1; // the last is for values nobody wants
    this.#lines = lines;
    const places = lines * this.#columns;
    const linesAt = TABLES_AT;
    const numbersAt = linesAt + 16 * Math.ceil((lines * LINE_BYTES) / 16);
    const placesAt = numbersAt + places * 8;
    const kindsAt = placesAt + places * 8;
    this.#addresses = [linesAt, kindsAt, kindsAt + places, placesAt, numbersAt];
    this.#input = new Uint8Array(buffer, 0, INPUT_BYTES + 64);
    this.#records = new Int32Array(buffer, linesAt, lines * 3);
    this.numbers = new Float64Array(buffer, numbersAt, places);
    this.places = new Int32Array(buffer, placesAt, places * 2);
    this.kinds = new Uint8Array(buffer, kindsAt, places);
    this.forms = new Uint8Array(buffer, kindsAt + places, places);
    this.#nodes = new DataView(buffer, 0, TABLES_AT);
  }

  /** Undefined where the machine cannot run the kernel. */
  static of(fields: number): Lines | undefined {
    const lines = Math.max(16, Math.min(LINES, Math.floor(PLACES / (fields + 1))));
    const kernel = makeKernel(TABLES_AT + 16 + lines * LINE_BYTES + lines * (fields + 1) * 18);
    return kernel && new Lines(kernel.run, kernel.buffer, fields, lines);
  }

  /** The lines of `data` are about to be asked for in order; it must not change until then. */
  open(data: Buffer): void {
    this.data = data as Slices;
    this.reached = 0;
    this.#found = 0;
    this.#next = 0;
  }

  /** Whether the line that begins at `from` is plain: then `base` and `end` are set. */
  take(data: Buffer, from: number): boolean {
    this.#mayLearn = false;
    if (data !== this.data) return false;
    if (this.#next >= this.#found) this.#turn(from);
    const record = this.#next * 3;
    if (this.#next >= this.#found || (this.#records[record] as number) + this.origin !== from) return false;
    this.base = this.#next * this.#columns;
    this.#next++;
    this.end = (this.#records[record + 1] as number) + this.origin;
    const what = this.#records[record + 2] as number;
    this.#mayLearn = what === UNKNOWN_KEY;
    return what === PLAIN;
  }

  /** Reads the next lines, as many as there is room for. */
  #turn(from: number): void {
    this.#found = 0;
    this.#next = 0;
    if (from < this.reached) return; // not in order
    const data = this.data;
    let to = data.length;
    if (to - from > INPUT_BYTES) {
      to = data.lastIndexOf(LINE_FEED, from + INPUT_BYTES - 1) + 1;
      if (to <= from) return; // a line too long
    }
    this.origin = from;
    this.#input.set(data.subarray(from, to));
    this.#input.fill(0, to - from, to - from + 64);
    this.kinds.fill(0);
    const [lines, kinds, forms, places, numbers] = this.#addresses;
    this.#found = this.#run(to - from, this.#lines, this.#columns, lines, kinds, forms, places, numbers);
    if (this.#found > 0) this.reached = from + (this.#records[this.#found * 3 - 2] as number);
  }

  /** After the scanner has read a line that was not plain: remembers its keys when one of them was the reason. */
  learn(scanner: Scanner): void {
    if (!this.#mayLearn) return;
    let node = NODES_AT;
    for (let member = 0; member < scanner.members; member++) {
      const text = scanner.keyText(member);
      if (text === undefined || text.length > KEY_BYTES) return;
      const child = this.#childOf(node, text) ?? this.#addChild(node, text, scanner.keyField(member));
      if (child === undefined) return;
      node = child;
    }
  }

  #childOf(node: number, text: Uint8Array): number | undefined {
    for (let child = this.#get(node, NODE.child); child !== 0; child = this.#get(child, NODE.sibling)) {
      if (
        this.#get(child, NODE.length) === text.length &&
        text.every((byte, i) => this.#nodes.getUint8(child + NODE.key + i) === byte)
      )
        return child;
    }
    return undefined;
  }

  /** Behind its siblings: what comes first is likely to come often. Undefined when there is no room. */
  #addChild(node: number, text: Uint8Array, field: number): number | undefined {
    if (this.#nodeCount === NODES) return undefined;
    const child = NODES_AT + this.#nodeCount++ * NODE.bytes;
    text.forEach((byte, i) => {
      this.#nodes.setUint8(child + NODE.key + i, byte);
      this.#nodes.setUint8(child + NODE.mask + i, 0xff);
    });
    this.#nodes.setInt32(child + NODE.length, text.length, true);
    this.#nodes.setInt32(child + NODE.field, field < 0 ? this.#columns - 1 : field, true);
    let [last, link] = [node, NODE.child as number];
    for (let next = this.#get(last, link); next !== 0; next = this.#get(last, link))
      [last, link] = [next, NODE.sibling];
    this.#nodes.setInt32(last + link, child, true);
    return child;
  }

  #get(node: number, what: number): number {
    return this.#nodes.getInt32(node + what, true);
  }
}

const LINE_FEED = 0x0a;
