/* SPDX-License-Identifier: MIT */
/* Where this was measured: a figure means nothing without it. */
#include "runner.h"

#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

/* "model name : AMD ..." of the first processor; else what the kernel calls them all. */
static void name_processor(char *name, size_t len, const char *otherwise)
{
	char line[256];
	FILE *f = fopen("/proc/cpuinfo", "r");

	snprintf(name, len, "%s", otherwise);
	while (f && fgets(line, sizeof(line), f)) {
		if (strncmp(line, "model name", 10) != 0 || !strchr(line, ':'))
			continue;
		line[strcspn(line, "\n")] = '\0';
		snprintf(name, len, "%s", strchr(line, ':') + 1 + strspn(strchr(line, ':') + 1, " "));
		break;
	}
	if (f)
		fclose(f);
}

const char *machine(void)
{
	static char text[256];
	struct utsname system;
	char processor[96];

	if (text[0])
		return text;
	uname(&system);
	name_processor(processor, sizeof(processor), system.machine);
	long n = sysconf(_SC_NPROCESSORS_ONLN);
	snprintf(text, sizeof(text), "%s, %ld processor%s, %.16s %.64s", processor, n, n == 1 ? "" : "s", system.sysname,
		 system.release);
	return text;
}
