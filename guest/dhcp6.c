// dhcp6 INTERFACE: asks for an address by DHCPv6 (RFC 8415) until there is one, and prints it, and after how
// many seconds it is to be asked for again. What busybox has not.
//
// One question and one answer (Solicit with Rapid Commit, and Reply). The interface's hardware address is the
// client's identifier, so that the guest is the same one each time.
#include <arpa/inet.h>
#include <linux/if_addr.h>
#include <net/if.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "programs.h"

enum { SOLICIT = 1, REPLY = 7 };
enum { CLIENT_ID = 1, IA_NA = 3, IA_ADDRESS = 5, ELAPSED_TIME = 8, RAPID_COMMIT = 14 };
enum { CLIENT_PORT = 546, SERVER_PORT = 547 };
// What an option begins with, and an association and an address before the options in them.
enum { HEAD = 4, IA_HEAD = 12, ADDRESS_HEAD = 24 };
// The longest wait between two questions.
enum { LONGEST_S = 120 };

static uint16_t read16(const uint8_t *at) { return (uint16_t)(at[0] << 8 | at[1]); }
static uint32_t read32(const uint8_t *at) { return (uint32_t)read16(at) << 16 | read16(at + 2); }

static uint8_t *put(uint8_t *at, uint16_t code, uint16_t length, const void *value) {
    uint8_t head[HEAD] = {(uint8_t)(code >> 8), (uint8_t)code, (uint8_t)(length >> 8), (uint8_t)length};
    memcpy(at, head, HEAD);
    if (length > 0)
        memcpy(at + HEAD, value, length);
    return at + HEAD + length;
}

// The value of the first option of this code that is at least so long.
static const uint8_t *find(const uint8_t *at, size_t length, uint16_t code, size_t least, size_t *found) {
    while (length >= HEAD) {
        size_t of_value = read16(at + 2);
        if (of_value > length - HEAD)
            return NULL;
        if (read16(at) == code && of_value >= least) {
            *found = of_value;
            return at + HEAD;
        }
        at += HEAD + of_value;
        length -= HEAD + of_value;
    }
    return NULL;
}

// Prints the address in an answer, and half of the time that it is valid for.
static int take(const uint8_t *answer, size_t length, const uint8_t *question) {
    size_t in_ia, in_address;
    if (length < 4 || answer[0] != REPLY || memcmp(answer + 1, question + 1, 3) != 0)
        return 0;
    const uint8_t *ia = find(answer + 4, length - 4, IA_NA, IA_HEAD, &in_ia);
    const uint8_t *address =
        ia ? find(ia + IA_HEAD, in_ia - IA_HEAD, IA_ADDRESS, ADDRESS_HEAD, &in_address) : NULL;
    uint32_t valid = address ? read32(address + 20) : 0;
    char text[INET6_ADDRSTRLEN];
    if (valid == 0 || !inet_ntop(AF_INET6, address, text, sizeof text))
        return 0;
    printf("%s %u\n", text, valid / 2);
    return 1;
}

// The interface's address of the link, which it has a moment after it is up: the kernel asks first whether
// another has it.
static int has_link_address(const char *interface) {
    char line[128], address[33], name[IF_NAMESIZE];
    unsigned scope, flags, found = 0;
    FILE *all = fopen("/proc/net/if_inet6", "r");
    while (all && fgets(line, sizeof line, all))
        if (sscanf(line, "%32s %*x %*x %x %x %15s", address, &scope, &flags, name) == 4)
            found |= strcmp(name, interface) == 0 && scope == 0x20 && !(flags & IFA_F_TENTATIVE);
    if (all)
        fclose(all);
    return found;
}

int dhcp6(int argc, char **argv) {
    struct ifreq request = {0};
    if (argc != 2 || strlen(argv[1]) >= IF_NAMESIZE) {
        fputs("usage: dhcp6 INTERFACE\n", stderr);
        return 2;
    }
    strcpy(request.ifr_name, argv[1]);
    int asking = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    unsigned index = if_nametoindex(argv[1]);
    if (asking < 0 || index == 0 || ioctl(asking, SIOCGIFHWADDR, &request) < 0) {
        perror(argv[1]);
        return 1;
    }
    // Each interface's own, so that several can ask at once.
    setsockopt(asking, SOL_SOCKET, SO_BINDTODEVICE, argv[1], (socklen_t)strlen(argv[1]));
    struct sockaddr_in6 own = {.sin6_family = AF_INET6, .sin6_port = htons(CLIENT_PORT)};
    struct sockaddr_in6 servers = {
        .sin6_family = AF_INET6, .sin6_port = htons(SERVER_PORT), .sin6_scope_id = index};
    inet_pton(AF_INET6, "ff02::1:2", &servers.sin6_addr);
    if (bind(asking, (struct sockaddr *)&own, sizeof own) < 0) {
        perror("port 546");
        return 1;
    }

    // By its link layer (DUID-LL): of this type, on Ethernet.
    uint8_t client[10] = {0, 3, 0, 1}, association[IA_HEAD] = {0}, elapsed[2] = {0};
    memcpy(client + 4, request.ifr_hwaddr.sa_data, 6);
    memcpy(association, client + 6, 4);
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    uint8_t question[64] = {SOLICIT, (uint8_t)now.tv_nsec, (uint8_t)(now.tv_nsec >> 8), (uint8_t)(now.tv_nsec >> 16)};
    uint8_t *end = put(question + 4, CLIENT_ID, sizeof client, client);
    end = put(end, ELAPSED_TIME, sizeof elapsed, elapsed);
    end = put(end, RAPID_COMMIT, 0, NULL);
    end = put(end, IA_NA, sizeof association, association);

    for (int wait_s = 1;; wait_s = wait_s * 2 < LONGEST_S ? wait_s * 2 : LONGEST_S) {
        // A second or two after it is up; one that stays down is looked at ever more seldom.
        for (unsigned ms = 100; !has_link_address(argv[1]); ms = ms < 5000 ? ms + ms / 4 : ms)
            usleep(ms * 1000);
        sendto(asking, question, (size_t)(end - question), 0, (struct sockaddr *)&servers, sizeof servers);
        struct pollfd answered = {.fd = asking, .events = POLLIN};
        while (poll(&answered, 1, wait_s * 1000) > 0) {
            uint8_t answer[1500];
            ssize_t length = recv(asking, answer, sizeof answer, 0);
            if (length > 0 && take(answer, (size_t)length, question))
                return 0;
        }
    }
}
