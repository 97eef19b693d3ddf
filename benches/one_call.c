// What several SPI transfers in one system call would save, on the board of minimal_loop.c.
//
//     one_call
//
// Prints the mean time of 1,000 in a row, ns:
//     SPI_IOC_RD_MODE32         a call of spidev without a transfer: what a call costs by itself
//     SPI_IOC_MESSAGE(2)        two frames of 2 bytes to one chip, in one call
//     two_SPI_IOC_MESSAGE(1)    one frame to each of two chips, as the loop does it
//     io_uring_two_writes       the same two frames, submitted and awaited in one call
//
// spidev has no file for a whole controller, so one message cannot have two chips. io_uring can
// only read and write a spidev node, half duplex: its driver offers neither `uring_cmd` nor
// operations that do not block (drivers/spi/spidev.c).
//
// As minimal_loop.c it is one file, to be compiled and run on a board by itself: the few lines that
// both need stand in both.

#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/io_uring.h>
#include <linux/spi/spidev.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define TIMES 1000

static int check(int answer, const char *what)
{
	if (answer < 0) {
		perror(what);
		exit(1);
	}
	return answer;
}

static int spi(const char *path)
{
	uint32_t speed_hz = 1000000;
	int device = check(open(path, O_RDWR | O_CLOEXEC), path);

	check(ioctl(device, SPI_IOC_WR_MAX_SPEED_HZ, &speed_hz), "SPI_IOC_WR_MAX_SPEED_HZ");
	return device;
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * UINT64_C(1000000000) + now.tv_nsec;
}

static void print(const char *name, uint64_t start)
{
	printf("%s %u\n", name, (unsigned)((now_ns() - start) / TIMES));
}

static void *map(int ring, size_t bytes, uint64_t offset)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, ring, offset);

	if (memory == MAP_FAILED)
		check(-1, "mmap");
	return memory;
}

static void by_ring(const int devices[2], const uint8_t *frame, size_t length)
{
	struct io_uring_params about = { 0 };
	int ring = check(syscall(SYS_io_uring_setup, 2, &about), "io_uring_setup");
	size_t asked = about.sq_off.array + about.sq_entries * sizeof(unsigned);
	size_t answered = about.cq_off.cqes + about.cq_entries * sizeof(struct io_uring_cqe);
	char *submitted = map(ring, asked, IORING_OFF_SQ_RING);
	char *completed = map(ring, answered, IORING_OFF_CQ_RING);
	struct io_uring_sqe *entries = map(ring, 2 * sizeof(*entries), IORING_OFF_SQES);
	unsigned *tail = (unsigned *)(submitted + about.sq_off.tail);
	unsigned *head = (unsigned *)(completed + about.cq_off.head);
	unsigned *numbers = (unsigned *)(submitted + about.sq_off.array);
	struct io_uring_cqe *results = (struct io_uring_cqe *)(completed + about.cq_off.cqes);

	for (unsigned n = 0; n < 2; n++) {
		memset(&entries[n], 0, sizeof(entries[n]));
		entries[n].opcode = IORING_OP_WRITE;
		entries[n].fd = devices[n];
		entries[n].addr = (uintptr_t)frame;
		entries[n].len = length;
		numbers[n] = n;
	}
	uint64_t start = now_ns();

	for (unsigned n = 0; n < TIMES; n++) {
		__atomic_store_n(tail, *tail + 2, __ATOMIC_RELEASE);
		check(syscall(SYS_io_uring_enter, ring, 2, 2, IORING_ENTER_GETEVENTS, NULL, 0),
		      "io_uring_enter");
		for (unsigned at = 0; at < 2; at++)
			if (results[(*head + at) % about.cq_entries].res != (int)length)
				check(-1, "the result of a write");
		__atomic_store_n(head, *head + 2, __ATOMIC_RELEASE);
	}
	print("io_uring_two_writes", start);
}

int main(void)
{
	int devices[] = { spi("/dev/spidev3.0"), spi("/dev/spidev3.1") };
	struct sched_param priority = { .sched_priority = 80 };
	uint8_t frame[2] = { 0x38, 0x00 };
	struct spi_ioc_transfer one = { .tx_buf = (uintptr_t)frame, .len = sizeof(frame) };
	struct spi_ioc_transfer two[] = { one, one };
	uint32_t mode;
	uint64_t start;

	two[0].cs_change = 1;
	check(mlockall(MCL_CURRENT | MCL_FUTURE), "mlockall");
	check(sched_setscheduler(0, SCHED_FIFO, &priority), "sched_setscheduler");
	start = now_ns();
	for (unsigned n = 0; n < TIMES; n++)
		check(ioctl(devices[1], SPI_IOC_RD_MODE32, &mode), "SPI_IOC_RD_MODE32");
	print("SPI_IOC_RD_MODE32", start);
	start = now_ns();
	for (unsigned n = 0; n < TIMES; n++)
		check(ioctl(devices[1], SPI_IOC_MESSAGE(2), two), "SPI_IOC_MESSAGE(2)");
	print("SPI_IOC_MESSAGE(2)", start);
	start = now_ns();
	for (unsigned n = 0; n < TIMES; n++)
		for (unsigned at = 0; at < 2; at++)
			check(ioctl(devices[at], SPI_IOC_MESSAGE(1), &one), "SPI_IOC_MESSAGE(1)");
	print("two_SPI_IOC_MESSAGE(1)", start);
	by_ring(devices, frame, sizeof(frame));
	return 0;
}
