/* Load client of bench/gateway: many WebSocket connections on one core, frames counted and a part of them timed.
 *
 * load-client PORT CONNECTIONS STALLED PATH PROTOCOL HELLO READY GROUPS
 *   STALLED  so many connections stop reading after they are ready (small receive buffer)
 *   PROTOCOL value of Sec-WebSocket-Protocol, "-" for none
 *   HELLO    text frame sent after the handshake, "-" for none
 *   READY    substring of the frame that makes a connection ready, "-" when the handshake is enough
 *   GROUPS   "{g}" in PATH and HELLO becomes the number of the connection modulo this
 * Prints "ready". Then, for each line "measure SECONDS" on standard input, one line of JSON. Ends with its input.
 * A frame is timed by `"t":<microseconds since the epoch>` in its payload, on one of seven connections.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define ROOM (1 << 16)
#define MAX_SAMPLES (4 << 20)
#define CONNECTING_AT_ONCE 128

struct connection {
  int fd, state, timed, stalled; /* state: 0 connecting, 1 handshake, 2 waiting for READY, 3 ready */
  uint64_t skip;                 /* bytes of the frame being skipped */
  char *rest;                    /* an incomplete header or a frame that is wanted whole */
  int length;
};

static struct connection *connections;
static int count, ready, epoll_fd, port, next_connection, connecting, groups;
static const char *path, *protocol, *hello, *ready_text;
static char buffer[ROOM];
static uint64_t frames, bytes, lost;
static uint32_t *samples;
static int sample_count, measuring;

static uint64_t now_us(void) {
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  return (uint64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void fail(const char *what) {
  fprintf(stderr, "load-client: %s: %s\n", what, strerror(errno));
  exit(1);
}

/* The group of a connection in place of "{g}". */
static const char *filled(struct connection *c, const char *text) {
  static char out[8000];
  const char *mark = strstr(text, "{g}");
  if (!mark) return text;
  int group = (int)(c - connections) % groups;
  snprintf(out, sizeof out, "%.*s%d%s", (int)(mark - text), text, group, mark + 3);
  return out;
}

static void send_text(struct connection *c, const char *text) {
  size_t length = strlen(text);
  unsigned char frame[8192];
  size_t at = 0;
  frame[at++] = 0x81;
  if (length < 126) frame[at++] = 0x80 | length;
  else { frame[at++] = 0x80 | 126; frame[at++] = length >> 8; frame[at++] = length & 255; }
  memset(frame + at, 0, 4); /* a mask of zeros leaves the text as it is */
  at += 4;
  memcpy(frame + at, text, length);
  if (write(c->fd, frame, at + length) < 0) fail("write");
}

static void begin_connect(void) {
  struct connection *c = &connections[next_connection];
  c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  if (c->fd < 0) fail("socket");
  int one = 1, small = 4096;
  setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  if (c->stalled) setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
  to.sin_addr.s_addr = htonl(0x7f000001 + next_connection / 20000);
  if (connect(c->fd, (struct sockaddr *)&to, sizeof to) < 0 && errno != EINPROGRESS) fail("connect");
  struct epoll_event event = {.events = EPOLLIN | EPOLLOUT, .data.u32 = next_connection};
  epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &event);
  next_connection++;
  connecting++;
}

static void become_ready(struct connection *c) {
  c->state = 3;
  ready++;
  connecting--;
  if (c->stalled) epoll_ctl(epoll_fd, EPOLL_CTL_DEL, c->fd, NULL);
  if (next_connection < count) begin_connect();
}

static void take_frame(struct connection *c, const char *payload, uint64_t length, int whole) {
  if (c->state == 2) {
    if (whole && memmem(payload, length, ready_text, strlen(ready_text))) become_ready(c);
    return;
  }
  if (length == 1 && payload[0] == '2') { send_text(c, "3"); return; } /* Engine.IO ping */
  if (!measuring) return;
  frames++;
  bytes += length;
  if (!c->timed || !whole || sample_count == MAX_SAMPLES) return;
  const char *mark = memmem(payload, length, "\"t\":", 4);
  if (!mark) return;
  uint64_t sent = strtoull(mark + 4, NULL, 10), now = now_us();
  samples[sample_count++] = now > sent ? now - sent : 0;
}

/* Data of one read, with what was left of the one before. */
static void take(struct connection *c, char *data, int length) {
  int at = 0;
  if (c->state == 1) {
    char *end = memmem(data, length, "\r\n\r\n", 4);
    if (!end) return; /* a handshake answer comes in one piece */
    if (strncmp(data, "HTTP/1.1 101", 12) != 0) { fprintf(stderr, "load-client: %.200s\n", data); exit(1); }
    at = end + 4 - data;
    c->state = 2;
    if (strcmp(hello, "-") != 0) send_text(c, filled(c, hello));
    if (strcmp(ready_text, "-") == 0) become_ready(c);
  }
  while (at < length) {
    if (c->skip > 0) {
      uint64_t part = c->skip < (uint64_t)(length - at) ? c->skip : (uint64_t)(length - at);
      c->skip -= part;
      at += part;
      continue;
    }
    int header = 2;
    uint64_t size = 0;
    if (length - at >= 2) {
      unsigned char *h = (unsigned char *)data + at;
      size = h[1] & 127;
      if (size == 126) { header = 4; if (length - at >= 4) size = h[2] << 8 | h[3]; }
      else if (size == 127) {
        header = 10;
        if (length - at >= 10) { size = 0; for (int i = 2; i < 10; i++) size = size << 8 | h[i]; }
      }
    }
    int wanted = c->timed || c->state == 2;
    if (length - at < header || (wanted && (uint64_t)(length - at - header) < size)) {
      c->length = length - at;
      c->rest = realloc(c->rest, c->length);
      memcpy(c->rest, data + at, c->length);
      return;
    }
    int opcode = data[at] & 15;
    at += header;
    int whole = (uint64_t)(length - at) >= size;
    if (opcode == 9 && whole) { /* ping */
      unsigned char pong[6] = {0x8a, 0x80};
      if (write(c->fd, pong, 6) < 0) lost++;
    } else if (opcode < 8) take_frame(c, data + at, size, whole);
    if (whole) at += size;
    else { c->skip = size - (length - at); at = length; }
  }
}

static void on_event(struct connection *c, uint32_t events) {
  if (c->state == 0 && events & (EPOLLOUT | EPOLLERR)) {
    char request[4096];
    char extra[512] = "";
    if (strcmp(protocol, "-") != 0) snprintf(extra, sizeof extra, "Sec-WebSocket-Protocol: %s\r\n", protocol);
    int length = snprintf(request, sizeof request,
      "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%s\r\n", filled(c, path), extra);
    if (write(c->fd, request, length) != length) fail("handshake");
    c->state = 1;
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = c - connections};
    epoll_ctl(epoll_fd, EPOLL_CTL_MOD, c->fd, &event);
    return;
  }
  if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR))) return;
  int kept = c->length;
  char *into = buffer;
  if (kept > 0) { /* a frame that is wanted whole may be longer than the buffer: then it is not timed */
    if (kept > ROOM / 2) { c->length = kept = 0; c->timed = 0; }
    memcpy(buffer, c->rest, kept);
  }
  int got = read(c->fd, into + kept, ROOM - kept);
  if (got > 0) { c->length = 0; take(c, buffer, kept + got); return; }
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  epoll_ctl(epoll_fd, EPOLL_CTL_DEL, c->fd, NULL);
  lost++;
}

static int by_size(const void *a, const void *b) {
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return x < y ? -1 : x > y;
}

static double cpu_seconds(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_utime.tv_sec + usage.ru_stime.tv_sec + (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static double at(double quantile) {
  if (sample_count == 0) return -1;
  int index = quantile * sample_count;
  return samples[index < sample_count ? index : sample_count - 1] / 1000.0;
}

int main(int argc, char **argv) {
  if (argc != 9) { fprintf(stderr, "load-client PORT CONNECTIONS STALLED PATH PROTOCOL HELLO READY GROUPS\n"); return 2; }
  port = atoi(argv[1]);
  count = atoi(argv[2]);
  int stalled = atoi(argv[3]);
  path = argv[4]; protocol = argv[5]; hello = argv[6]; ready_text = argv[7]; groups = atoi(argv[8]);
  struct rlimit files = {1 << 20, 1 << 20};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  connections = calloc(count, sizeof *connections);
  samples = malloc(sizeof *samples * MAX_SAMPLES);
  epoll_fd = epoll_create1(0);
  for (int i = 0; i < count; i++) {
    connections[i].stalled = stalled > 0 && i % (count / stalled) == 0 && i / (count / stalled) < stalled;
    connections[i].timed = !connections[i].stalled && i % 7 == 3;
  }
  while (next_connection < count && connecting < CONNECTING_AT_ONCE) begin_connect();
  struct epoll_event input = {.events = EPOLLIN, .data.u32 = UINT32_MAX}, events[512];
  uint64_t from = 0, until = 0;
  double cpu = 0;
  int said = 0;
  for (;;) {
    if (!said && ready == count) {
      said = 1;
      printf("ready\n");
      fflush(stdout);
      epoll_ctl(epoll_fd, EPOLL_CTL_ADD, 0, &input);
    }
    int wait = measuring ? (int)((until - now_us()) / 1000) : -1;
    int got = epoll_wait(epoll_fd, events, 512, wait < 0 && measuring ? 0 : wait);
    for (int i = 0; i < got; i++) {
      if (events[i].data.u32 != UINT32_MAX) { on_event(&connections[events[i].data.u32], events[i].events); continue; }
      char line[64];
      int length = read(0, line, sizeof line - 1);
      if (length <= 0) return 0;
      line[length] = 0;
      double seconds;
      if (sscanf(line, "measure %lf", &seconds) != 1) continue;
      frames = bytes = sample_count = 0;
      measuring = 1;
      from = now_us();
      until = from + seconds * 1e6;
      cpu = cpu_seconds();
    }
    if (!measuring || now_us() < until) continue;
    measuring = 0;
    double elapsed = (now_us() - from) / 1e6;
    qsort(samples, sample_count, sizeof *samples, by_size);
    printf("{\"frames\":%llu,\"bytes\":%llu,\"seconds\":%.3f,\"cpuS\":%.3f,\"lost\":%llu,\"samples\":%d,\"p50Ms\":%.3f,\"p99Ms\":%.3f}\n",
      (unsigned long long)frames, (unsigned long long)bytes, elapsed, cpu_seconds() - cpu, (unsigned long long)lost,
      sample_count, at(0.5), at(0.99));
    fflush(stdout);
  }
}
