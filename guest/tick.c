// tick [MS]: prints "tick N MONOTONIC_MS" every MS milliseconds until killed.
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "programs.h"

int tick(int argc, char **argv) {
    long period = argc > 1 ? atol(argv[1]) : 1000;
    if (period <= 0) {
        fputs("usage: tick [MS]\n", stderr);
        return 2;
    }
    struct timespec now, next;
    clock_gettime(CLOCK_MONOTONIC, &next);
    for (unsigned long n = 0;; n++) {
        clock_gettime(CLOCK_MONOTONIC, &now);
        // One write a line, so that other writers cannot cut it in two.
        dprintf(1, "tick %lu %lld\n", n, now.tv_sec * 1000LL + now.tv_nsec / 1000000);
        next.tv_nsec += period % 1000 * 1000000L;
        next.tv_sec += period / 1000 + next.tv_nsec / 1000000000L;
        next.tv_nsec %= 1000000000L;
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
    }
}
