/* Reads and commands a controller through include/steadfast.h. Compiled as C11 and as C++17. */
#include "steadfast.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static void must(struct sf_client *c, int status, int expected, const char *what)
{
	if (status == expected)
		return;
	fprintf(stderr, "%s: %d, expected %d: %s\n", what, status, expected, c->refusal);
	exit(1);
}

int main(int count, char **arguments)
{
	struct sf_client c, other;
	struct timespec pause = { 0, 5000000 };
	double value = 0, speed = 1.5, fast = 99, period;
	const double refused[] = { 50, 41 }, changed[] = { 50, 10 };
	struct sf_parameter parameter;
	uint64_t number, first;
	int signal, group, tries, numbers[2];

	if (count != 2)
		return 2;
	/* The controller begins to listen after its socket has appeared. */
	for (tries = 0; tries < 1000 && sf_connect(&c, arguments[1]) == -ECONNREFUSED; tries++) {
		sf_close(&c);
		nanosleep(&pause, NULL);
	}
	sf_close(&c);
	must(&c, sf_connect(&c, arguments[1]), 0, "connect");
	must(&other, sf_connect(&other, arguments[1]), 0, "connect again");
	/* The first frame comes after the connection. */
	for (tries = 0; tries < 1000 && sf_head(&c) <= c.start; tries++)
		nanosleep(&pause, NULL);
	must(&c, sf_read(&c, sf_signal(&c, "x.position"), &value), 0, "read");
	must(&c, sf_read(&c, sf_signal(&c, "input.emergency_stop"), &value), 0, "read a flag");
	must(&c, value == 0.0, 1, "the flag");
	must(&c, sf_read(&c, sf_signal(&c, "x.nothing"), &value), -ENOENT, "read nothing");
	signal = sf_signal(&c, "command.speed");
	group = sf_group(&c, "command.speed");
	must(&c, sf_read(&c, signal, &value), -ENODATA, "read an unset command");
	must(&c, sf_write(&c, group, &speed, 1), -EPERM, "write without a claim");
	must(&c, sf_claim(&c, group), 0, "claim");
	must(&other, sf_claim(&other, group), -EPERM, "claim what is taken");
	must(&c, sf_write(&c, group, &fast, 1), -EPERM, "write out of range");
	must(&c, sf_write(&c, group, &speed, 1), 0, "write");
	for (tries = 0; tries < 1000 && sf_read(&c, signal, &value) != 0; tries++) {
		must(&c, sf_refresh(&c), 0, "refresh");
		nanosleep(&pause, NULL);
	}
	must(&c, value == speed, 1, "the command arrives");
	/* Frames follow each other without a gap, unless this program pauses for so long that the
	 * loop overwrites them, as on a busy machine. */
	first = number = sf_head(&c);
	tries = 0;
	while (number < first + 100) {
		/* Before the frame is read: one that is published meanwhile is no gap. */
		uint64_t head = sf_head(&c);
		int status = sf_read_at(&c, signal, number, &value);

		if (status == -EAGAIN && number >= head) {
			nanosleep(&pause, NULL);
			must(&c, sf_refresh(&c), 0, "refresh");
		} else if (status == -EAGAIN && sf_head(&c) - number >= c.words[SF_AT_FRAMES]) {
			must(&c, ++tries < 20, 1, "a program that keeps up");
			first = number = sf_head(&c);
		} else {
			must(&c, status, 0, "a frame");
			number++;
		}
	}
	must(&c, sf_release(&c, group), 0, "release");
	numbers[0] = sf_find_parameter(&c, "x.gains.kp", &parameter);
	numbers[1] = sf_find_parameter(&c, "x.profile.velocity_rad_s", &parameter);
	must(&c, strcmp(parameter.unit, "rad/s"), 0, "a unit");
	must(&c, parameter.start == 20.0 && parameter.max == 1e5, 1, "start and range");
	must(&c, sf_find_parameter(&c, "x.gains.no", &parameter), -ENOENT, "find nothing");
	must(&c, sf_change(&c, 0, numbers, refused, 2), -EPERM, "change out of range");
	must(&c, sf_parameter(&c, numbers[0], &parameter), 0, "describe");
	must(&c, parameter.value == 40.0, 1, "a refused set changes nothing");
	must(&c, sf_change(&c, 0, numbers, changed, 2), 0, "change");
	must(&c, sf_parameter(&c, numbers[0], &parameter), 0, "describe");
	must(&c, parameter.value == 50.0 && parameter.start == 40.0, 1, "it has changed");
	must(&c, sf_save(&c, 0), -EPERM, "save without [parameters]");
	must(&c, sf_change(&c, 1, NULL, NULL, 0), 0, "back to the start");
	must(&c, sf_parameter(&c, numbers[0], &parameter), 0, "describe");
	must(&c, parameter.value == 40.0, 1, "it is as at the start");
	signal = sf_signal(&c, "output.lamp");
	must(&c, sf_force(&c, sf_signal(&c, "output.enable"), 1.0, 1.0), -EPERM, "force the enable");
	must(&c, sf_force(&c, signal, 1.0, 0.0), -EPERM, "force without a time");
	must(&c, sf_force(&c, signal, 1.0, 60.0), 0, "force");
	for (tries = 0, value = 0.0; tries < 1000 && value != 1.0; tries++) {
		nanosleep(&pause, NULL);
		must(&c, sf_read(&c, signal, &value), 0, "read the lamp");
	}
	must(&c, value == 1.0, 1, "the lamp is forced");
	must(&other, sf_force(&other, signal, 0.0, 1.0), -EPERM, "force what another forces");
	must(&other, sf_unforce(&other, sf_signal(&c, "output.lamb")), -EINVAL, "unforce nothing");
	must(&other, sf_unforce(&other, signal), 0, "unforce");
	must(&other, sf_unforce_all(&other), 0, "unforce all");
	for (tries = 0; tries < 1000 && value != 0.0; tries++) {
		nanosleep(&pause, NULL);
		must(&c, sf_read(&c, signal, &value), 0, "read the lamp");
	}
	must(&c, value == 0.0, 1, "the lamp is free");
	must(&c, sf_running(&c), 1, "it runs");
	period = (double)sf_word(&c, SF_AT_PERIOD_NS) / 1e6;
	must(&c, fabs(period - 1.0) < 1e-9, 1, "the period");
	sf_close(&other);
	sf_close(&c);
	puts("client: done");
	return 0;
}
