/*
 * A cable between two interfaces that takes its time and may lose frames: the kernel of the test machine has no netem.
 *
 *   delay-link LEFT RIGHT DELAY_MS LOSS SEED
 *
 * Frames that arrive on one interface leave by the other after DELAY_MS, in order; each is lost with probability LOSS.
 * Both interfaces are in the namespace of the process. Prints "ready" when it listens. Ends on SIGTERM.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { SLOTS = 8192, FRAME = 2048 };

struct frame {
  int64_t due_ns;
  int to;
  int length;
  unsigned char bytes[FRAME];
};

static struct frame queue[SLOTS];
static unsigned head, tail;

static int64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static int open_interface(const char *name) {
  int fd = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));
  struct sockaddr_ll address = {
      .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = if_nametoindex(name)};
  int on = 1;
  if (fd < 0 || address.sll_ifindex == 0 || bind(fd, (struct sockaddr *)&address, sizeof address) != 0 ||
      setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on) != 0) {
    perror(name);
    exit(1);
  }
  return fd;
}

int main(int argc, char **argv) {
  if (argc != 6) {
    fputs("usage: delay-link LEFT RIGHT DELAY_MS LOSS SEED\n", stderr);
    return 2;
  }
  int fds[2] = {open_interface(argv[1]), open_interface(argv[2])};
  int64_t delay_ns = (int64_t)(atof(argv[3]) * 1e6);
  double loss = atof(argv[4]);
  srand48(atol(argv[5]));
  puts("ready");
  fflush(stdout);
  for (;;) {
    int64_t now = now_ns();
    while (head != tail && queue[head % SLOTS].due_ns <= now) {
      struct frame *next = &queue[head++ % SLOTS];
      /* An interface that is being taken down takes no frames; that is a lost frame. */
      (void)!write(next->to, next->bytes, next->length);
    }
    struct timespec wait = {3600, 0};
    if (head != tail) {
      int64_t left = queue[head % SLOTS].due_ns - now;
      if (left < 0) left = 0;
      wait.tv_sec = left / 1000000000LL;
      wait.tv_nsec = left % 1000000000LL;
    }
    struct pollfd polled[2] = {{fds[0], POLLIN, 0}, {fds[1], POLLIN, 0}};
    if (ppoll(polled, 2, &wait, NULL) < 0 && errno != EINTR) return 1;
    for (int side = 0; side < 2; side++) {
      if (!(polled[side].revents & (POLLIN | POLLERR))) continue;
      for (;;) {
        struct frame *place = &queue[tail % SLOTS];
        ssize_t length = recv(fds[side], place->bytes, FRAME, MSG_DONTWAIT);
        if (length <= 0) break;
        if (tail - head >= SLOTS - 1 || (loss > 0 && drand48() < loss)) continue;
        place->due_ns = now_ns() + delay_ns;
        place->to = fds[1 - side];
        place->length = (int)length;
        tail++;
      }
    }
  }
}
