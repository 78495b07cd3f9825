// The sample guests' own programs, as one: a C library for each would make the guests larger by half.
#include <libgen.h>
#include <stdio.h>
#include <string.h>

#include "programs.h"

int main(int argc, char **argv) {
    const char *name = basename(argv[0]);
    if (strcmp(name, "tick") == 0)
        return tick(argc, argv);
    if (strcmp(name, "dhcp6") == 0)
        return dhcp6(argc, argv);
    fprintf(stderr, "programs: there is no %s\n", name);
    return 2;
}
