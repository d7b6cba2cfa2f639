import { type Logger, pino } from "pino";

export type { Logger } from "pino";

/** The root logger: JSON lines on standard error, secrets redacted. One child per component: `log.child({ component })`. */
export function createLogger(level: string): Logger {
  return pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      redact: {
        paths: ["*.password", "*.secret", "*.key", "*.token", "password", "secret", "key", "token"],
        censor: "[redacted]",
      },
    },
    pino.destination({ dest: 2, sync: true }),
  );
}
