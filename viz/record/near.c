/* SPDX-License-Identifier: MIT */
/* The edit distance, by the usual table of which one row is kept. */
#include "near.h"

#include <ctype.h>
#include <fcntl.h>
#include <gelf.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LEN_MAX = 100, NEAR_MAX = 3 };

size_t near_distance(const char *a, const char *b)
{
	size_t row[LEN_MAX + 1], n = strlen(b);

	if (n > LEN_MAX || strlen(a) > LEN_MAX)
		return SIZE_MAX;
	for (size_t j = 0; j <= n; j++)
		row[j] = j;
	for (size_t i = 0; a[i]; i++) {
		size_t diagonal = row[0]; /* what row[j] was before it is overwritten */
		row[0] = i + 1;
		for (size_t j = 0; j < n; j++) {
			size_t other = diagonal + (tolower((unsigned char)a[i]) != tolower((unsigned char)b[j]));
			diagonal = row[j + 1];
			if (row[j] + 1 < other)
				other = row[j] + 1;
			if (row[j + 1] + 1 < other)
				other = row[j + 1] + 1;
			row[j + 1] = other;
		}
	}
	return row[n];
}

/* The nearest ones, nearest first. */
struct nearest {
	const char *wanted;
	char *names[NEAR_MAX];
	size_t distance[NEAR_MAX];
	int n;
};

static void offer(struct nearest *k, const char *name)
{
	size_t len = strlen(k->wanted), distance = near_distance(k->wanted, name);

	if (strstr(name, k->wanted) && distance > 1)
		distance = 1; /* a part of it: as good as a letter */
	if (distance > (len < 3 ? 1 : len / 3))
		return;
	for (int i = 0; i < k->n; i++)
		if (strcmp(k->names[i], name) == 0)
			return;
	int at = k->n;
	while (at > 0 && k->distance[at - 1] > distance)
		at--;
	if (at == NEAR_MAX)
		return;
	char *copy = strdup(name);
	if (!copy)
		return;
	if (k->n == NEAR_MAX)
		free(k->names[--k->n]);
	memmove(&k->names[at + 1], &k->names[at], (size_t)(k->n - at) * sizeof(k->names[0]));
	memmove(&k->distance[at + 1], &k->distance[at], (size_t)(k->n - at) * sizeof(k->distance[0]));
	k->names[at] = copy;
	k->distance[at] = distance;
	k->n++;
}

static void offer_section(struct nearest *k, Elf *elf, Elf_Scn *section)
{
	GElf_Shdr header;
	GElf_Sym symbol;

	if (!gelf_getshdr(section, &header) || (header.sh_type != SHT_SYMTAB && header.sh_type != SHT_DYNSYM))
		return;
	Elf_Data *data = elf_getdata(section, NULL);
	for (int i = 0; data && gelf_getsym(data, i, &symbol); i++) {
		const char *name = elf_strptr(elf, header.sh_link, symbol.st_name);
		if (name && GELF_ST_TYPE(symbol.st_info) == STT_FUNC && symbol.st_shndx != SHN_UNDEF)
			offer(k, name);
	}
}

static char *listed(const struct nearest *k)
{
	char *text = NULL;
	size_t len;
	FILE *out = k->n > 0 ? open_memstream(&text, &len) : NULL;

	if (!out)
		return NULL;
	for (int i = 0; i < k->n; i++)
		fprintf(out, "%s%s", i == 0 ? "" : i < k->n - 1 ? ", " : k->n > 2 ? ", or " : " or ", k->names[i]);
	fclose(out);
	return text;
}

char *near_functions(const char *path, const char *name)
{
	struct nearest k = { .wanted = name };

	elf_version(EV_CURRENT);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	Elf *elf = fd >= 0 ? elf_begin(fd, ELF_C_READ_MMAP, NULL) : NULL;
	for (Elf_Scn *s = NULL; elf && (s = elf_nextscn(elf, s));)
		offer_section(&k, elf, s);
	elf_end(elf);
	if (fd >= 0)
		close(fd);
	char *text = listed(&k);
	for (int i = 0; i < k.n; i++)
		free(k.names[i]);
	return text;
}
