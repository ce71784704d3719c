/* SPDX-License-Identifier: MIT */
/* The files that a program has mapped: found, opened, and their bytes. */
#include "modules.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MODULES_MAX = 1000 }; /* more than any program has; a trace may claim what it likes */

/* As libdwfl's own, but never over the network: a viewer must not wait for that. */
static int find_debuginfo(Dwfl_Module *mod, void **userdata, const char *modname, Dwarf_Addr base, const char *file,
			  const char *link, GElf_Word crc, char **found)
{
	char *urls = getenv("DEBUGINFOD_URLS");

	if (urls && (urls = strdup(urls)))
		unsetenv("DEBUGINFOD_URLS");

	int fd = dwfl_standard_find_debuginfo(mod, userdata, modname, base, file, link, crc, found);

	if (urls)
		setenv("DEBUGINFOD_URLS", urls, 1);
	free(urls);
	return fd;
}

static int find_no_elf(Dwfl_Module *mod, void **userdata, const char *modname, Dwarf_Addr base, char **file, Elf **elf)
{
	(void)mod, (void)userdata, (void)modname, (void)base, (void)file, (void)elf;
	return -1; /* each is reported with its file */
}

static char *default_path;
static const Dwfl_Callbacks callbacks = {
	.find_elf = find_no_elf,
	.find_debuginfo = find_debuginfo,
	.debuginfo_path = &default_path,
};

struct symbols *symbols_new(void)
{
	struct symbols *s = calloc(1, sizeof *s);

	if (!s || !(s->dwfl = dwfl_begin(&callbacks))) {
		free(s);
		errno = ENOMEM;
		return NULL;
	}
	return s;
}

void symbols_add_map(struct symbols *s, const char *path, uint64_t lo, uint64_t hi, uint64_t offset)
{
	if (*path != '/' || hi <= lo) /* [vdso], [stack], and what is not a file */
		return;
	for (size_t i = 0; i < s->n; i++) {
		struct module *m = &s->modules[i];

		if (strcmp(m->path, path))
			continue;
		m->lo = lo < m->lo ? lo : m->lo;
		m->hi = hi > m->hi ? hi : m->hi;
		return;
	}

	if (s->n == MODULES_MAX)
		return;
	struct module *grown = realloc(s->modules, (s->n + 1) * sizeof *grown);
	char *copy = strdup(path);

	if (grown)
		s->modules = grown;
	if (!grown || !copy) {
		free(copy);
		return; /* no names for this one */
	}
	s->modules[s->n++] = (struct module){ .path = copy, .lo = lo, .hi = hi, .map_lo = lo, .map_offset = offset };
}

/* Where was the file loaded, as one of its maps tells? */
static bool find_bias(int fd, struct module *m, uint64_t *bias)
{
	Elf *elf = elf_begin(fd, ELF_C_READ_MMAP, NULL);
	size_t n = 0;
	bool is_found = false;

	if (elf && elf_kind(elf) == ELF_K_ELF && elf_getphdrnum(elf, &n) == 0)
		for (size_t i = 0; i < n && !is_found; i++) {
			GElf_Phdr p;

			if (!gelf_getphdr(elf, (int)i, &p) || p.p_type != PT_LOAD)
				continue;
			if (m->map_offset < (p.p_offset & -4096ull) || m->map_offset >= p.p_offset + p.p_filesz)
				continue;
			*bias = m->map_lo - m->map_offset - (p.p_vaddr - p.p_offset);
			is_found = true;
		}
	elf_end(elf);
	return is_found;
}

static void module_open(struct symbols *s, struct module *m)
{
	struct stat st;
	int fd = open(m->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe would have us wait */

	m->is_open = true;
	if (fd < 0)
		return;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && find_bias(fd, m, &m->bias)) {
		m->built_at = st.st_mtime;
		/* The name must differ for each; the base is where the file's address 0 lies. */
		m->mod = dwfl_report_elf(s->dwfl, m->path, m->path, fd, m->bias, true);
	}
	if (!m->mod)
		close(fd); /* else it is libdwfl's */
}

/* The map of a file ends where the file does. The rest of its data, zero at the beginning
 * (.bss), lies behind it in a map without a name. */
static void add_zeros(struct module *m)
{
	enum { PAGE = 4096 };
	size_t n = 0;
	GElf_Phdr p;

	if (elf_getphdrnum(m->elf, &n) != 0)
		return;
	for (size_t i = 0; i < n; i++) {
		if (!gelf_getphdr(m->elf, (int)i, &p) || p.p_type != PT_LOAD || p.p_memsz > UINT32_MAX)
			continue;
		uint64_t end = (m->bias + p.p_vaddr + p.p_memsz + PAGE - 1) & -(uint64_t)PAGE;
		if (end > m->hi && end - m->hi <= UINT32_MAX)
			m->hi = end;
	}
}

void symbols_ready(struct symbols *s)
{
	elf_version(EV_CURRENT);
	dwfl_report_begin_add(s->dwfl);
	for (size_t i = 0; i < s->n; i++)
		if (!s->modules[i].is_open)
			module_open(s, &s->modules[i]);
	dwfl_report_end(s->dwfl, NULL, NULL);
	for (size_t i = 0; i < s->n; i++) {
		struct module *m = &s->modules[i];
		GElf_Addr bias;

		if (m->mod && !m->elf) {
			m->elf = dwfl_module_getelf(m->mod, &bias);
			m->bias = m->elf ? bias : m->bias;
			if (m->elf)
				add_zeros(m);
		}
	}
}

void symbols_free(struct symbols *s)
{
	if (!s)
		return;
	lines_free(s);
	texts_free(s);
	rules_free(s);
	for (size_t i = 0; i < s->n; i++) {
		free(s->modules[i].path);
		free(s->modules[i].names);
	}
	for (size_t i = 0; i < s->n_made; i++)
		free(s->made_names[i]);
	free(s->made_names);
	free(s->modules);
	dwfl_end(s->dwfl);
	free(s);
}

struct module *module_at(struct symbols *s, uint64_t addr)
{
	for (size_t i = 0; i < s->n; i++)
		if (addr >= s->modules[i].lo && addr < s->modules[i].hi)
			return s->modules[i].elf ? &s->modules[i] : NULL;
	return NULL;
}

bool module_is_ours(const struct module *m)
{
	const char *base = strrchr(m->path, '/');

	return base && strncmp(base, "/libcostep", 10) == 0;
}

struct module *module_by_rank(struct symbols *s, size_t i)
{
	for (int is_other = 0; is_other < 2; is_other++)
		for (size_t k = 0; k < s->n; k++)
			if ((k > 0 && !module_is_ours(&s->modules[k])) == is_other && i-- == 0)
				return &s->modules[k];
	return NULL;
}

size_t symbols_code(struct symbols *s, uint64_t addr, uint8_t *to, size_t len)
{
	struct module *m = module_at(s, addr);
	size_t n = 0, file_len = 0;
	const char *file = m ? elf_rawfile(m->elf, &file_len) : NULL;

	if (!file || elf_getphdrnum(m->elf, &n))
		return 0;
	for (size_t i = 0; i < n; i++) {
		GElf_Phdr p;
		uint64_t at = addr - m->bias;

		if (!gelf_getphdr(m->elf, (int)i, &p) || p.p_type != PT_LOAD || at < p.p_vaddr
		    || at - p.p_vaddr >= p.p_filesz)
			continue;

		uint64_t room = p.p_filesz - (at - p.p_vaddr), offset = p.p_offset + (at - p.p_vaddr);

		len = room < len ? room : len;
		if (offset > file_len || len > file_len - offset)
			return 0; /* cut off */
		memcpy(to, file + offset, len);
		return len;
	}
	return 0;
}
