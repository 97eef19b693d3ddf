/* A CAN bus for a machine whose kernel has none: preloaded into the firmware (LD_PRELOAD), it
 * makes can0 a virtual CAN interface whose other end is the Unix socket of STEADFAST_TEST_BUS.
 * Each packet is a struct can_frame. The firmware is the one that is shipped. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

/* An index that no other interface has. */
#define INDEX 0x0CA00000u
#define SOL_CAN_RAW 101
#define LINK_IS_CAN 280

/* What follows the name of the C library. */
#define REAL(function) ((__typeof__(&function))dlsym(RTLD_NEXT, #function))

/* The netlink socket that has been asked about INDEX. */
static int asked = -1;

int socket(int family, int kind, int protocol)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const char *path = getenv("STEADFAST_TEST_BUS");
    int flags = kind & (SOCK_NONBLOCK | SOCK_CLOEXEC);
    int fd;

    if (family != AF_CAN || !path)
        return REAL(socket)(family, kind, protocol);
    fd = REAL(socket)(AF_UNIX, SOCK_SEQPACKET | flags, 0);
    strncpy(address.sun_path, path, sizeof address.sun_path - 1);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
        abort();
    return fd;
}

unsigned int if_nametoindex(const char *name)
{
    if (strcmp(name, "can0") == 0)
        return INDEX;
    return REAL(if_nametoindex)(name);
}

ssize_t send(int fd, const void *data, size_t length, int flags)
{
    struct {
        struct nlmsghdr header;
        struct ifinfomsg info;
    } request;

    if (length == sizeof request) {
        memcpy(&request, data, sizeof request);
        if (request.header.nlmsg_type == RTM_GETLINK && (unsigned)request.info.ifi_index == INDEX) {
            asked = fd;
            return (ssize_t)length;
        }
    }
    return REAL(send)(fd, data, length, flags);
}

/* The kernel's answer about a vcan interface that is up. */
ssize_t recv(int fd, void *data, size_t length, int flags)
{
    struct {
        struct nlmsghdr header;
        struct ifinfomsg info;
        struct rtattr link, kind;
        char name[8];
    } answer = {
        .header = {.nlmsg_len = sizeof answer, .nlmsg_type = RTM_NEWLINK},
        .info = {.ifi_type = LINK_IS_CAN, .ifi_flags = IFF_UP},
        .link = {.rta_len = sizeof(struct rtattr) * 2 + 8, .rta_type = IFLA_LINKINFO},
        .kind = {.rta_len = sizeof(struct rtattr) + 5, .rta_type = IFLA_INFO_KIND},
        .name = "vcan",
    };

    if (fd != asked || length < sizeof answer)
        return REAL(recv)(fd, data, length, flags);
    asked = -1;
    memcpy(data, &answer, sizeof answer);
    return sizeof answer;
}

int setsockopt(int fd, int level, int name, const void *value, socklen_t length)
{
    if (level == SOL_CAN_RAW)
        return 0;
    return REAL(setsockopt)(fd, level, name, value, length);
}

int bind(int fd, const struct sockaddr *address, socklen_t length)
{
    if (address->sa_family == AF_CAN)
        return 0;
    return REAL(bind)(fd, address, length);
}
