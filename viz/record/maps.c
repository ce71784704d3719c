/* SPDX-License-Identifier: MIT */
/* One line of /proc/PID/maps: "lo-hi rwxp offset device inode   path". */
#include "maps.h"

#include <fcntl.h>
#include <gelf.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct line {
	uint64_t lo, hi, offset;
	char path[4096]; /* "" : no file */
};

static FILE *open_maps(pid_t pid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	return fopen(path, "re");
}

static bool next_line(FILE *f, struct line *line)
{
	char text[4096 + 128];
	int at = 0;

	if (!fgets(text, sizeof(text), f))
		return false;
	text[strcspn(text, "\n")] = 0;
	line->path[0] = 0;
	if (sscanf(text, "%" SCNx64 "-%" SCNx64 " %*s %" SCNx64 " %*s %*s %n", &line->lo, &line->hi, &line->offset, &at) < 3)
		return false;
	if (at > 0 && text[at] == '/')
		snprintf(line->path, sizeof(line->path), "%s", text + at);
	return true;
}

/* --- build-ids ----------------------------------------------------------------------- */

/* The note NT_GNU_BUILD_ID among those of @data. */
static void take_build_id(Elf_Data *data, struct trace_map *map)
{
	size_t at = 0, name, desc;
	GElf_Nhdr note;

	while ((at = gelf_getnote(data, at, &note, &name, &desc)) > 0) {
		bool is_gnu = note.n_namesz == 4 && memcmp((char *)data->d_buf + name, "GNU", 4) == 0;
		if (is_gnu && note.n_type == NT_GNU_BUILD_ID && note.n_descsz <= sizeof(map->build_id)) {
			map->build_id_len = (uint8_t)note.n_descsz;
			memcpy(map->build_id, (char *)data->d_buf + desc, note.n_descsz);
			return;
		}
	}
}

static void read_build_id(struct trace_map *map)
{
	size_t n = 0;

	elf_version(EV_CURRENT);
	int fd = open(map->path, O_RDONLY | O_CLOEXEC);
	Elf *elf = fd >= 0 ? elf_begin(fd, ELF_C_READ_MMAP, NULL) : NULL;
	if (elf && elf_getphdrnum(elf, &n) != 0)
		n = 0;
	for (size_t i = 0; i < n; i++) {
		GElf_Phdr header;
		Elf_Data *data;
		if (gelf_getphdr(elf, (int)i, &header) && header.p_type == PT_NOTE &&
		    (data = elf_getdata_rawchunk(elf, (int64_t)header.p_offset, header.p_filesz,
						 header.p_align == 8 ? ELF_T_NHDR8 : ELF_T_NHDR)))
			take_build_id(data, map);
	}
	elf_end(elf);
	if (fd >= 0)
		close(fd);
}

/* --- public --------------------------------------------------------------------------- */

size_t maps_of_files(pid_t pid, struct trace_map **maps)
{
	size_t n = 0, room = 0;
	struct line line;
	FILE *f = open_maps(pid);

	*maps = NULL;
	while (f && next_line(f, &line)) {
		if (!line.path[0])
			continue;
		if (n == room) {
			room = room ? 2 * room : 32;
			struct trace_map *grown = reallocarray(*maps, room, sizeof(*grown));
			if (!grown)
				break;
			*maps = grown;
		}
		struct trace_map *map = &(*maps)[n];
		*map = (struct trace_map){ .lo = line.lo, .hi = line.hi, .offset = line.offset, .path = strdup(line.path) };
		if (!map->path)
			break;
		const struct trace_map *previous = n > 0 ? map - 1 : NULL;
		if (previous && strcmp(previous->path, map->path) == 0) {
			map->build_id_len = previous->build_id_len;
			memcpy(map->build_id, previous->build_id, sizeof(map->build_id));
		} else {
			read_build_id(map);
		}
		n++;
	}
	if (f)
		fclose(f);
	return n;
}

void maps_free(struct trace_map *maps, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(maps[i].path);
	free(maps);
}

bool maps_clip(pid_t pid, uint64_t addr, uint64_t *lo, uint64_t *hi)
{
	struct line line;
	FILE *f = open_maps(pid);
	bool is_found = false;

	while (f && !is_found && next_line(f, &line)) {
		if (addr < line.lo || addr >= line.hi)
			continue;
		is_found = true;
		if (*lo < line.lo)
			*lo = line.lo;
		if (*hi > line.hi)
			*hi = line.hi;
	}
	if (f)
		fclose(f);
	return is_found;
}
