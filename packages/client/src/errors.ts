/**
 * Why a subscription, a request or the whole connection ended for good. `code` is one of the protocol's (`forbidden`,
 * `unknown_channel`, …), `closed` (the gateway said not to come back; `closeCode` says why) or `ended` (by `close()`).
 */
export class MillraceClientError extends Error {
  override readonly name = "MillraceClientError";
  readonly code: string;
  readonly closeCode: number | undefined;

  constructor(code: string, message: string, closeCode?: number) {
    super(message);
    this.code = code;
    this.closeCode = closeCode;
  }
}
