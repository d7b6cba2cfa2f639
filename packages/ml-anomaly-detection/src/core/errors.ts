/** What can go wrong, as a closed set: branch on `code`, never on the message. */
export type AnomalyErrorCode =
  /** An option is out of range: wrong before the first value. */
  | "AD_OPTION_INVALID"
  /** The value handed in has the wrong shape for this detector (number of features). */
  | "AD_INPUT_INVALID"
  /** Saved bytes are damaged, of another version, of another detector, or of other options. */
  | "AD_STATE_INVALID";

/** The only error this package throws. */
export class AnomalyError extends Error {
  override readonly name = "AnomalyError";
  readonly code: AnomalyErrorCode;
  constructor(code: AnomalyErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

/** Throws AD_OPTION_INVALID unless `value` is an integer in `[min, max]`; returns it. */
export function integerOption(name: string, value: number, min: number, max = Number.MAX_SAFE_INTEGER): number {
  if (!Number.isSafeInteger(value) || value < min || value > max)
    throw new AnomalyError("AD_OPTION_INVALID", `${name} must be an integer in [${min}, ${max}], got ${value}`);
  return value;
}

/** Throws AD_OPTION_INVALID unless `value` is finite and in `[min, max]`; returns it. */
export function numberOption(name: string, value: number, min: number, max = Number.MAX_VALUE): number {
  if (!(value >= min && value <= max))
    throw new AnomalyError("AD_OPTION_INVALID", `${name} must be a number in [${min}, ${max}], got ${value}`);
  return value;
}
