/* Reads the signals of a steadfast controller and commands it, on the same machine.
 *
 * For C11 and C++17 with GCC or Clang on Linux. No library is needed: everything is in this
 * file. A function returns 0, or a negative errno; a refusal of the controller is -EPERM, with
 * its text in sf_client.refusal. See docs/links.md.
 *
 *     struct sf_client c;
 *     double x;
 *     if (sf_connect(&c, "/run/steadfast/steadfast-robot.sock") == 0
 *         && sf_read(&c, sf_signal(&c, "x.position"), &x) == 0)
 *             printf("%f rad\n", x);
 *     sf_close(&c);
 */
#ifndef STEADFAST_H
#define STEADFAST_H

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The layout of the shared memory. Words have 64 bits in the machine's byte order. */
#define SF_MAGIC UINT64_C(0x7374656164667374) /* "steadfst" */
#define SF_VERSION 1
#define SF_ENTRY 24      /* words of the description of a signal or a group */
#define SF_MAX_PACKET 1024
#define SF_MAX_VALUES 64
#define SF_TIMEOUT_MS 2000 /* longest wait for an answer */
#define SF_DISK_MS 60000   /* longest wait for a disk */

/* Words of the header. */
enum {
	SF_AT_MAGIC,
	SF_AT_VERSION,
	SF_AT_FRAME_WORDS,
	SF_AT_FRAMES,
	SF_AT_RING,
	SF_AT_SIGNALS,
	SF_AT_SIGNAL_COUNT,
	SF_AT_GROUPS,
	SF_AT_GROUP_COUNT,
	SF_AT_HEAD,
	SF_AT_RUNNING,
	SF_AT_PID,
	SF_AT_PERIOD_NS
};

/* Kinds of requests. */
enum {
	SF_HELLO,
	SF_CLAIM,
	SF_RELEASE,
	SF_WRITE,
	SF_REFRESH,
	SF_REVOKE,
	SF_PARAMETER, /* describe the parameter `target` */
	SF_CHANGE,    /* values: pairs of a number and its value; target 1: the rest as at the start */
	SF_FORCE,     /* values: the value of the signal `target`, and a time in s */
	SF_UNFORCE,   /* end the forces of the signal `target`, or of SF_ALL */
	SF_FORCED,    /* describe the force at the place `target` */
	SF_SAVE,      /* save the parameters for the next start; target 1: remove the saved ones */
	SF_KEPT       /* the values of the parameter `target` in the board file and at the next start */
};

#define SF_ALL 0x7fffffff

struct sf_client {
	int socket;
	const uint64_t *words;
	size_t bytes;
	uint64_t start;         /* frames before it are from before the connection */
	uint32_t number;        /* of the last request */
	uint32_t client;        /* its number, as refusals name it */
	uint32_t parameters;    /* see sf_parameters */
	char refusal[SF_MAX_PACKET];
};

/* A parameter of a control law, which may change while the loop runs. */
struct sf_parameter {
	double value;
	double start;    /* its value at the start */
	double min, max; /* other parameters may limit it further */
	char name[SF_MAX_PACKET];
	char unit[32];
};

static inline uint64_t sf_word(const struct sf_client *c, size_t at)
{
	return __atomic_load_n(c->words + at, __ATOMIC_ACQUIRE);
}

static inline const uint64_t *sf_entry(const struct sf_client *c, int table, size_t number)
{
	return c->words + sf_word(c, (size_t)table) + SF_ENTRY * number;
}

static inline int sf_wait_ms(const struct sf_client *c, int ms)
{
	struct pollfd waited = { c->socket, POLLIN, 0 };
	int ready = poll(&waited, 1, ms);

	if (ready < 0)
		return -errno;
	return ready == 0 ? -ETIMEDOUT : 0;
}

static inline int sf_wait(const struct sf_client *c)
{
	return sf_wait_ms(c, SF_TIMEOUT_MS);
}

static inline void sf_close(struct sf_client *c)
{
	if (c->words)
		munmap((void *)(uintptr_t)c->words, c->bytes);
	if (c->socket >= 0)
		close(c->socket);
	c->words = NULL;
	c->socket = -1;
}

/* The status of an answer: 0, or -EPERM with the text. */
static inline int sf_answered(struct sf_client *c, const unsigned char *packet, size_t length,
			      uint32_t head[4])
{
	size_t text;

	if (length < 16)
		return -EPROTO;
	memcpy(head, packet, 16);
	text = length - 16 < sizeof(c->refusal) - 1 ? length - 16 : sizeof(c->refusal) - 1;
	memcpy(c->refusal, packet + 16, text);
	c->refusal[text] = 0;
	return head[2] == 0 ? 0 : -EPERM;
}

/* Connects to the controller at `path`. Close the client also after an error. */
static inline int sf_connect(struct sf_client *c, const char *path)
{
	struct sockaddr_un address;
	unsigned char packet[SF_MAX_PACKET];
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec part = { packet, sizeof(packet) };
	struct msghdr message;
	struct cmsghdr *header;
	struct stat about;
	uint32_t head[4];
	ssize_t length;
	void *memory;
	int file = -1, status;

	memset(c, 0, sizeof(*c));
	memset(&address, 0, sizeof(address));
	memset(&message, 0, sizeof(message));
	address.sun_family = AF_UNIX;
	c->socket = -1;
	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	strcpy(address.sun_path, path);
	c->socket = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (c->socket < 0)
		return -errno;
	if (connect(c->socket, (struct sockaddr *)&address, sizeof(address)) != 0)
		return -errno;
	status = sf_wait(c);
	if (status != 0)
		return status;
	message.msg_iov = &part;
	message.msg_iovlen = 1;
	message.msg_control = &control;
	message.msg_controllen = sizeof(control);
	length = recvmsg(c->socket, &message, MSG_CMSG_CLOEXEC);
	if (length < 0)
		return -errno;
	header = CMSG_FIRSTHDR(&message);
	if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS)
		memcpy(&file, CMSG_DATA(header), sizeof(file));
	status = sf_answered(c, packet, (size_t)length, head);
	if (status == 0 && (head[1] != SF_VERSION || file < 0))
		status = -EPROTO;
	if (status == 0 && fstat(file, &about) != 0)
		status = -errno;
	if (status == 0) {
		c->client = head[3];
		c->bytes = (size_t)about.st_size;
		memory = mmap(NULL, c->bytes, PROT_READ, MAP_SHARED, file, 0);
		if (memory == MAP_FAILED)
			status = -errno;
		else
			c->words = (const uint64_t *)memory;
	}
	if (file >= 0)
		close(file);
	if (status == 0)
		c->start = sf_word(c, SF_AT_HEAD);
	if (status == 0
	    && (sf_word(c, SF_AT_MAGIC) != SF_MAGIC || sf_word(c, SF_AT_VERSION) != SF_VERSION))
		status = -EPROTO;
	return status;
}

/* The number of the signal or the group `name`, or -1. */
static inline int sf_find(const struct sf_client *c, int table, const char *name)
{
	size_t number, count = sf_word(c, (size_t)table + 1);

	for (number = 0; number < count; number++)
		if (strcmp((const char *)(sf_entry(c, table, number) + 8), name) == 0)
			return (int)number;
	return -1;
}

static inline int sf_signal(const struct sf_client *c, const char *name)
{
	return sf_find(c, SF_AT_SIGNALS, name);
}

static inline int sf_group(const struct sf_client *c, const char *name)
{
	return sf_find(c, SF_AT_GROUPS, name);
}

/* Whether the loop runs. */
static inline int sf_running(const struct sf_client *c)
{
	return sf_word(c, SF_AT_RUNNING) == 1;
}

/* Number of frames so far: frame n is there from n + 1 on, until n + frames. */
static inline uint64_t sf_head(const struct sf_client *c)
{
	return sf_word(c, SF_AT_HEAD);
}

/* The value of `signal` in the frame `number`; a flag is 0 or 1. -ENOENT for a signal that does
 * not exist, -ENODATA for one without a value, -EAGAIN for a frame that is not there yet or no
 * longer. */
static inline int sf_read_at(const struct sf_client *c, int signal, uint64_t number, double *value)
{
	uint64_t packed, word;
	size_t at;
	int flag;

	if (signal < 0 || (uint64_t)signal >= sf_word(c, SF_AT_SIGNAL_COUNT))
		return -ENOENT;
	packed = sf_entry(c, SF_AT_SIGNALS, (size_t)signal)[0];
	at = sf_word(c, SF_AT_RING)
	     + (number & (sf_word(c, SF_AT_FRAMES) - 1)) * sf_word(c, SF_AT_FRAME_WORDS);
	if (sf_word(c, at) != 2 * number + 2)
		return -EAGAIN;
	word = __atomic_load_n(c->words + at + (packed >> 32), __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	if (sf_word(c, at) != 2 * number + 2)
		return -EAGAIN;
	flag = (int)(packed >> 8 & 0xff);
	if ((packed & 0xff) == 1) {
		if (!(word >> (32 + flag) & 1))
			return -ENODATA;
		*value = (double)(word >> flag & 1);
		return 0;
	}
	memcpy(value, &word, sizeof(*value));
	return *value != *value ? -ENODATA : 0;
}

/* The newest value of `signal`: as sf_read_at; -EAGAIN before the first cycle after the
 * connection: the loop writes frames only while a client is connected. */
static inline int sf_read(const struct sf_client *c, int signal, double *value)
{
	int tries, status = -EAGAIN;

	for (tries = 0; tries < 100 && status == -EAGAIN; tries++) {
		uint64_t head = sf_head(c);

		if (head <= c->start)
			return -EAGAIN;
		status = sf_read_at(c, signal, head - 1, value);
	}
	return status;
}

static inline int sf_send(struct sf_client *c, uint32_t kind, int target, const double *values,
			  size_t count)
{
	unsigned char packet[16 + 8 * SF_MAX_VALUES];
	uint32_t head[4];

	if (count > SF_MAX_VALUES || target < 0)
		return -EINVAL;
	head[0] = kind;
	head[1] = ++c->number;
	head[2] = (uint32_t)target;
	head[3] = (uint32_t)count;
	memcpy(packet, head, 16);
	if (count)
		memcpy(packet + 16, values, 8 * count);
	if (send(c->socket, packet, 16 + 8 * count, MSG_NOSIGNAL) < 0)
		return -errno;
	return 0;
}

/* Waits for the answer to the last request; `head` is its head. */
static inline int sf_answer(struct sf_client *c, int ms, uint32_t *head)
{
	unsigned char packet[SF_MAX_PACKET];
	ssize_t length;
	int status = sf_wait_ms(c, ms);

	if (status != 0)
		return status;
	length = recv(c->socket, packet, sizeof(packet), 0);
	if (length <= 0)
		return length < 0 ? -errno : -ECONNRESET;
	status = sf_answered(c, packet, (size_t)length, head);
	return head[1] == c->number ? status : -EPROTO;
}

static inline int sf_ask(struct sf_client *c, uint32_t kind, int target, const double *values,
			 size_t count)
{
	uint32_t head[4];
	int status = sf_send(c, kind, target, values, count);

	return status == 0 ? sf_answer(c, SF_TIMEOUT_MS, head) : status;
}

/* Becomes the owner of `group`. */
static inline int sf_claim(struct sf_client *c, int group)
{
	return sf_ask(c, SF_CLAIM, group, NULL, 0);
}

/* Gives `group` up. */
static inline int sf_release(struct sf_client *c, int group)
{
	return sf_ask(c, SF_RELEASE, group, NULL, 0);
}

/* Sets all commands of `group`, and refreshes it. With another controlword than before it returns
 * when the loop has taken it, 1 to 2 periods later, so that no controlword is lost; -EPERM after
 * 1 s in which the loop did not. */
static inline int sf_write(struct sf_client *c, int group, const double *values, size_t count)
{
	return sf_ask(c, SF_WRITE, group, values, count);
}

/* Takes `group` from its owner, which may be another client: a stop. */
static inline int sf_revoke(struct sf_client *c, int group)
{
	return sf_ask(c, SF_REVOKE, group, NULL, 0);
}

/* Refreshes all groups of this client. Call it well within their timeouts. */
static inline int sf_refresh(struct sf_client *c)
{
	return sf_send(c, SF_REFRESH, 0, NULL, 0);
}

/* The parameter `number`; -ENOENT if there is none. */
static inline int sf_parameter(struct sf_client *c, int number, struct sf_parameter *parameter)
{
	unsigned char packet[SF_MAX_PACKET + 1];
	const char *name, *unit;
	ssize_t length;
	int status = sf_send(c, SF_PARAMETER, number, NULL, 0);
	uint32_t head[4];

	if (status == 0)
		status = sf_wait(c);
	if (status != 0)
		return status;
	length = recv(c->socket, packet, SF_MAX_PACKET, 0);
	if (length <= 0)
		return length < 0 ? -errno : -ECONNRESET;
	if (length < 16)
		return -EPROTO;
	memcpy(head, packet, 16);
	c->parameters = head[3];
	if (head[1] != c->number)
		return -EPROTO;
	if (head[2] != 0)
		return -ENOENT;
	/* Value, start, min, max; the name, a zero, the unit. */
	packet[length] = 0;
	name = (const char *)packet + 48;
	unit = length > 48 ? name + strlen(name) + 1 : NULL;
	if (!unit || unit > (const char *)packet + length || strlen(unit) >= sizeof(parameter->unit))
		return -EPROTO;
	memcpy(&parameter->value, packet + 16, 32);
	strcpy(parameter->name, name);
	strcpy(parameter->unit, unit);
	return 0;
}

/* How many parameters there can be: numbers are below it, but not every number has one. */
static inline int sf_parameters(struct sf_client *c)
{
	struct sf_parameter first;
	int status = sf_parameter(c, 0, &first);

	return status == 0 || status == -ENOENT ? (int)c->parameters : status;
}

/* The number of the parameter `name`, such as "x.gains.kp"; -ENOENT if there is none. */
static inline int sf_find_parameter(struct sf_client *c, const char *name,
				    struct sf_parameter *parameter)
{
	int number, count = sf_parameters(c);

	for (number = 0; number < count; number++) {
		int status = sf_parameter(c, number, parameter);

		if (status == 0 && strcmp(parameter->name, name) == 0)
			return number;
		if (status != 0 && status != -ENOENT)
			return status;
	}
	return count < 0 ? count : -ENOENT;
}

/* Changes `count` parameters, at most SF_MAX_VALUES / 2, all or none: the loop takes them over
 * between two cycles. With `from_start` all others get their values of the start. */
static inline int sf_change(struct sf_client *c, int from_start, const int *numbers,
			    const double *values, size_t count)
{
	double pairs[SF_MAX_VALUES];
	size_t at;

	if (count > SF_MAX_VALUES / 2)
		return -EINVAL;
	for (at = 0; at < count; at++) {
		pairs[2 * at] = numbers[at];
		pairs[2 * at + 1] = values[at];
	}
	return sf_ask(c, SF_CHANGE, from_start != 0, pairs, 2 * count);
}

/* Overrides the input or output `signal` for at most `seconds`, to commission a machine. It ends
 * with this connection, with a fault and with a quick stop: see docs/forcing.md. */
static inline int sf_force(struct sf_client *c, int signal, double value, double seconds)
{
	double values[2];

	values[0] = value;
	values[1] = seconds;
	return sf_ask(c, SF_FORCE, signal, values, 2);
}

/* Ends the force of `signal`, whoever asked for it. */
static inline int sf_unforce(struct sf_client *c, int signal)
{
	return sf_ask(c, SF_UNFORCE, signal, NULL, 0);
}

/* Ends all forces. */
static inline int sf_unforce_all(struct sf_client *c)
{
	return sf_ask(c, SF_UNFORCE, SF_ALL, NULL, 0);
}

/* Saves the parameters that differ from the board file for the next start, or, with `defaults`,
 * removes the saved ones. Gives how many are saved now; -EPERM while an axis has power. */
static inline int sf_save(struct sf_client *c, int defaults)
{
	uint32_t head[4];
	int status = sf_send(c, SF_SAVE, defaults != 0, NULL, 0);

	if (status == 0)
		status = sf_answer(c, SF_DISK_MS, head);
	return status == 0 ? (int)head[3] : status;
}

#ifdef __cplusplus
}
#endif

#endif
