// SPDX-License-Identifier: MIT OR Apache-2.0
//
// The least that a 1 kHz control loop on Linux can be: what `cargo bench --bench
// board` measures the firmware against.
//
//     minimal_loop CYCLES [SPIN_US]
//     minimal_loop cost
//
// Each cycle sleeps to an absolute time, or to SPIN_US before it and then reads the
// clock until it is reached, and makes four kernel calls: all inputs
// in one GPIO_V2_LINE_GET_VALUES, one SPI frame of 2 bytes to the encoder, all
// outputs in one GPIO_V2_LINE_SET_VALUES (one of them toggles), one SPI frame
// of 2 bytes to the DAC. There is no control law, no check of an answer, no
// record; the samples are kept one by one, so that what it prints is exact.
//
// Devices, lines, modes and clocks are those of board/imx8mp-evk.
//
// Prints, one value a line:
//     locked KB            VmLck while it runs
//     skipped N            periods that passed without a cycle
//     lateness NS COUNT    from the planned release to the wake
//     execution NS COUNT   from the wake until the last call has returned
//     response NS COUNT    from the planned release until then
//
// With `cost`, the mean time of each of the four calls when it is made 1,000 times in a row, ns.

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/gpio.h>
#include <linux/spi/spidev.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define PERIOD_NS 1000000u

/* Those of the i.MX 8M Plus EVK, unless the compiler is told others. */
#ifndef INPUTS
#define INPUTS 5, 7, 13, 15
#define OUTPUTS 6, 8, 9, 10
#define ENCODER "/dev/spidev3.0"
#define DAC "/dev/spidev3.1"
#endif

#define MOST_CYCLES 20000

static uint32_t lateness[MOST_CYCLES], execution[MOST_CYCLES], response[MOST_CYCLES];

static void check(int answer, const char *what)
{
	if (answer >= 0)
		return;
	perror(what);
	exit(1);
}

static int request(int chip, uint64_t flags, const uint32_t *offsets, unsigned count)
{
	struct gpio_v2_line_request lines = { .num_lines = count, .config.flags = flags };

	memcpy(lines.offsets, offsets, count * sizeof(*offsets));
	strcpy(lines.consumer, "minimal_loop");
	check(ioctl(chip, GPIO_V2_GET_LINE_IOCTL, &lines), "GPIO_V2_GET_LINE");
	return lines.fd;
}

static int spi(const char *path, uint8_t mode)
{
	uint32_t speed_hz = 1000000;
	int device = open(path, O_RDWR | O_CLOEXEC);

	check(device, path);
	check(ioctl(device, SPI_IOC_WR_MODE, &mode), "SPI_IOC_WR_MODE");
	check(ioctl(device, SPI_IOC_WR_MAX_SPEED_HZ, &speed_hz), "SPI_IOC_WR_MAX_SPEED_HZ");
	return device;
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * UINT64_C(1000000000) + now.tv_nsec;
}

static int ascending(const void *a, const void *b)
{
	uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;

	return (left > right) - (left < right);
}

static void print(const char *name, uint32_t *samples, unsigned count)
{
	qsort(samples, count, sizeof(*samples), ascending);
	for (unsigned start = 0, end; start < count; start = end) {
		for (end = start; end < count && samples[end] == samples[start]; end++)
			;
		printf("%s %u %u\n", name, samples[start], end - start);
	}
}

static unsigned locked_kb(void)
{
	char line[128];
	unsigned kb = 0;
	FILE *status = fopen("/proc/self/status", "r");

	while (status && fgets(line, sizeof(line), status))
		if (sscanf(line, "VmLck: %u", &kb) == 1)
			break;
	if (status)
		fclose(status);
	return kb;
}

static void cost(const char *name, int device, unsigned long request, void *argument)
{
	uint64_t start = now_ns();

	for (unsigned n = 0; n < 1000; n++)
		check(ioctl(device, request, argument), name);
	printf("%s %u\n", name, (unsigned)((now_ns() - start) / 1000));
}

int main(int count, char **words)
{
	static const uint32_t in[] = { INPUTS }, out[] = { OUTPUTS };
	unsigned cycles = count > 1 ? strtoul(words[1], NULL, 10) : 0;
	uint64_t spin = count > 2 ? strtoul(words[2], NULL, 10) * UINT64_C(1000) : 0;
	struct sched_param priority = { .sched_priority = 80 };
	struct timespec release;
	unsigned skipped = 0;

	int costs = count > 1 && strcmp(words[1], "cost") == 0;
	if (!costs && (cycles == 0 || cycles > MOST_CYCLES)) {
		fprintf(stderr, "minimal_loop CYCLES [SPIN_US] or cost, at most %d cycles\n", MOST_CYCLES);
		return 2;
	}
	int chip = open("/dev/gpiochip0", O_RDWR | O_CLOEXEC);
	check(chip, "/dev/gpiochip0");
	int inputs = request(chip, GPIO_V2_LINE_FLAG_INPUT, in, 4);
	int outputs = request(chip, GPIO_V2_LINE_FLAG_OUTPUT, out, 4);
	int encoder = spi(ENCODER, SPI_MODE_1);
	int dac = spi(DAC, SPI_MODE_0);
	check(mlockall(MCL_CURRENT | MCL_FUTURE), "mlockall");
	check(sched_setscheduler(0, SCHED_FIFO, &priority), "sched_setscheduler");

	uint8_t frame[2], command[2] = { 0x38, 0x00 };
	struct spi_ioc_transfer read_angle = {
		.tx_buf = (uintptr_t)frame, .rx_buf = (uintptr_t)frame, .len = sizeof(frame)
	};
	struct spi_ioc_transfer write_dac = { .tx_buf = (uintptr_t)command, .len = sizeof(command) };
	struct gpio_v2_line_values levels = { .mask = 15 }, driven = { .mask = 15 };
	if (costs) {
		cost("GPIO_V2_LINE_GET_VALUES", inputs, GPIO_V2_LINE_GET_VALUES_IOCTL, &levels);
		cost("GPIO_V2_LINE_SET_VALUES", outputs, GPIO_V2_LINE_SET_VALUES_IOCTL, &driven);
		cost("SPI_IOC_MESSAGE(1)", dac, SPI_IOC_MESSAGE(1), &write_dac);
		return 0;
	}
	uint64_t next = (now_ns() / PERIOD_NS + 2) * PERIOD_NS;

	for (unsigned cycle = 0; cycle < cycles; cycle++) {
		release.tv_sec = (next - spin) / 1000000000;
		release.tv_nsec = (next - spin) % 1000000000;
		while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &release, NULL) == EINTR)
			;
		uint64_t start = now_ns();
		while (start < next)
			start = now_ns();
		check(ioctl(inputs, GPIO_V2_LINE_GET_VALUES_IOCTL, &levels), "GET_VALUES");
		memset(frame, 0xff, sizeof(frame));
		check(ioctl(encoder, SPI_IOC_MESSAGE(1), &read_angle), "encoder");
		driven.bits ^= 4;
		check(ioctl(outputs, GPIO_V2_LINE_SET_VALUES_IOCTL, &driven), "SET_VALUES");
		check(ioctl(dac, SPI_IOC_MESSAGE(1), &write_dac), "dac");
		uint64_t end = now_ns();
		lateness[cycle] = start - next;
		execution[cycle] = end - start;
		response[cycle] = end - next;
		for (next += PERIOD_NS; next < end; next += PERIOD_NS)
			skipped++;
	}

	priority.sched_priority = 0;
	check(sched_setscheduler(0, SCHED_OTHER, &priority), "sched_setscheduler");
	printf("locked %u\nskipped %u\n", locked_kb(), skipped);
	print("lateness", lateness, cycles);
	print("execution", execution, cycles);
	print("response", response, cycles);
	return 0;
}
