# Millrace without its servers: give it NATS_URL, CLICKHOUSE_URL and MQTT_URL, as docker-compose.yml does.
# --build-arg EMBEDDED_CLICKHOUSE=yes keeps the embedded database in the image (0.5 GB) for use without CLICKHOUSE_URL.
FROM node:20.20.2-bookworm-slim AS build
ARG EMBEDDED_CLICKHOUSE=no
WORKDIR /app
ENV ONNXRUNTIME_NODE_INSTALL=skip
COPY package.json package-lock.json .npmrc ./
COPY packages/ml-anomaly-detection/package.json packages/ml-anomaly-detection/
COPY packages/client/package.json packages/client/
RUN npm ci --no-audit --no-fund
COPY . .
RUN npm run build \
 && npm prune --omit=dev \
 && node scripts/prune-platforms.mjs $([ "$EMBEDDED_CLICKHOUSE" = yes ] || echo --without-embedded-clickhouse)

FROM node:20.20.2-bookworm-slim
ENV NODE_ENV=production MILLRACE_HOST=0.0.0.0 MILLRACE_DATA_DIR=/data
WORKDIR /app
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/packages ./packages
COPY --from=build /app/build ./build
# Models, schemas and other files that are read from where they were written.
COPY --from=build /app/src ./src
COPY --from=build /app/samples ./samples
COPY --from=build /app/alerts ./alerts
COPY --from=build /app/rules ./rules
RUN mkdir /data && chown node:node /data
USER node
VOLUME /data
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:' + (process.env.MILLRACE_PORT || 8080) + '/healthz').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "build/src/cli/main.js"]
CMD ["up"]
