/*
 * Sends datagrams out of a pool at a fixed rate: sender HOST PORT RATE SECONDS POOL ONCE OFFSET STEP
 *
 * So fast that it does not count: one sendmmsg a millisecond. POOL is a file of datagrams, each behind its length as
 * 32 bits (big endian). The first ONCE of them (templates) are sent once, the others round and round, with a sequence
 * number at byte OFFSET that grows by STEP. Prints the number of datagrams sent round. Only for the loopback.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define MAX_DATAGRAMS 4096
#define MAX_BURST 1024
#define MAX_BYTES 2048
#define SLICE_NS 1000000LL

struct datagram {
  unsigned char *bytes;
  uint32_t length;
};

static struct datagram pool[MAX_DATAGRAMS];

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static int read_pool(const char *path) {
  FILE *file = fopen(path, "rb");
  if (!file) fail(path);
  int count = 0;
  unsigned char head[4];
  while (count < MAX_DATAGRAMS && fread(head, 1, 4, file) == 4) {
    uint32_t length = (uint32_t)head[0] << 24 | (uint32_t)head[1] << 16 | (uint32_t)head[2] << 8 | head[3];
    if (length > MAX_BYTES) exit(2);
    pool[count].bytes = malloc(length);
    pool[count].length = length;
    if (!pool[count].bytes || fread(pool[count].bytes, 1, length, file) != length) exit(2);
    count++;
  }
  fclose(file);
  return count;
}

static long long now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000000000LL + now.tv_nsec;
}

int main(int argc, char **argv) {
  if (argc != 9) {
    fprintf(stderr, "sender HOST PORT RATE SECONDS POOL ONCE OFFSET STEP\n");
    return 2;
  }
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[2]))};
  if (inet_pton(AF_INET, argv[1], &to.sin_addr) != 1) return 2;
  double rate = atof(argv[3]);
  long long total_ns = (long long)(atof(argv[4]) * 1e9);
  int count = read_pool(argv[5]);
  int once = atoi(argv[6]), offset = atoi(argv[7]);
  uint32_t step = atoi(argv[8]), sequence = 0;
  if (count <= once) return 2;

  int out = socket(AF_INET, SOCK_DGRAM, 0);
  if (out < 0 || connect(out, (struct sockaddr *)&to, sizeof to) < 0) fail("socket");
  for (int i = 0; i < once; i++)
    if (send(out, pool[i].bytes, pool[i].length, 0) < 0) fail("send");

  /* A datagram that is sent twice in a burst needs two sequence numbers, so that bursts are copies. */
  static unsigned char copies[MAX_BURST][MAX_BYTES];
  static struct iovec parts[MAX_BURST];
  static struct mmsghdr messages[MAX_BURST];
  long long start = now_ns(), sent = 0;
  int next = once;
  for (long long elapsed = 0; elapsed < total_ns;) {
    long long due = (long long)(rate * (double)(elapsed + SLICE_NS) / 1e9) - sent;
    int burst = due > MAX_BURST ? MAX_BURST : (int)due;
    for (int i = 0; i < burst; i++) {
      struct datagram *from = &pool[next];
      if (++next == count) next = once;
      memcpy(copies[i], from->bytes, from->length);
      uint32_t number = htonl(sequence);
      memcpy(copies[i] + offset, &number, 4);
      sequence += step;
      parts[i] = (struct iovec){copies[i], from->length};
      messages[i].msg_hdr = (struct msghdr){.msg_iov = &parts[i], .msg_iovlen = 1};
    }
    for (int done = 0; done < burst;) {
      int n = sendmmsg(out, messages + done, burst - done, 0);
      if (n < 0 && errno != EINTR && errno != ECONNREFUSED) fail("sendmmsg");
      if (n > 0) done += n;
    }
    if (burst > 0) sent += burst;
    elapsed += SLICE_NS;
    long long ahead = start + elapsed - now_ns();
    if (ahead > 0) {
      struct timespec pause = {ahead / 1000000000LL, ahead % 1000000000LL};
      nanosleep(&pause, NULL);
    }
  }
  printf("%lld %.3f\n", sent, (double)(now_ns() - start) / 1e9);
  return 0;
}
