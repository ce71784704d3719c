/* SPDX-License-Identifier: MIT */
/* Files and their symbols. Each file's are read when first asked for, and sorted. */
#include "symbols.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "modules.h"

/* --- files ------------------------------------------------------------------------ */

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
	int fd = open(m->path, O_RDONLY | O_CLOEXEC);

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

static bool is_ours(const struct module *m)
{
	const char *base = strrchr(m->path, '/');

	return base && strncmp(base, "/libcostep", 10) == 0;
}

struct module *module_by_rank(struct symbols *s, size_t i)
{
	for (int is_other = 0; is_other < 2; is_other++)
		for (size_t k = 0; k < s->n; k++)
			if ((k > 0 && !is_ours(&s->modules[k])) == is_other && i-- == 0)
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

/* --- symbols ---------------------------------------------------------------------- */

bool module_add_name(struct module *m, struct name name)
{
	if ((m->n_names & (m->n_names - 1)) == 0) { /* full at each power of two */
		struct name *grown = realloc(m->names, (m->n_names ? 2 * m->n_names : 1) * sizeof *grown);

		if (!grown)
			return false;
		m->names = grown;
	}
	m->names[m->n_names++] = name;
	return true;
}

const char *keep_name(struct symbols *s, const char *text, size_t len, const char *suffix)
{
	char **grown = realloc(s->made_names, (s->n_made + 1) * sizeof *grown);
	char *made = NULL;

	if (grown)
		s->made_names = grown;
	if (!grown || asprintf(&made, "%.*s%s", (int)len, text, suffix) < 0)
		return NULL;
	s->made_names[s->n_made++] = made;
	return made;
}

/* "free@@GLIBC_2.2.5" is "free". */
static const char *without_version(struct symbols *s, const char *text)
{
	size_t len = strcspn(text, "@");
	const char *plain = len && text[len] ? keep_name(s, text, len, "") : NULL;

	return plain ? plain : text;
}

/* Take symbol @i of @m, if it names a place in the program. */
static void take_symbol(struct symbols *s, struct module *m, int i)
{
	GElf_Sym sym;
	GElf_Addr addr;
	GElf_Word index;
	Elf *elf = NULL;
	Dwarf_Addr bias = 0;
	const char *text = dwfl_module_getsym_info(m->mod, i, &sym, &addr, &index, &elf, &bias);
	int type = text ? GELF_ST_TYPE(sym.st_info) : STT_SECTION;

	if (!text || !*text || sym.st_shndx == SHN_UNDEF || type == STT_SECTION || type == STT_FILE || type == STT_TLS)
		return;

	Elf_Scn *section = elf && index < SHN_LORESERVE ? elf_getscn(elf, index) : NULL;
	GElf_Shdr shdr;

	if (!section || !gelf_getshdr(section, &shdr) || addr - bias - shdr.sh_addr >= shdr.sh_size)
		return;

	bool is_code = shdr.sh_flags & SHF_EXECINSTR;
	uint64_t end = shdr.sh_addr + bias + shdr.sh_size;

	if (type == STT_NOTYPE && !is_code) /* _end and the like */
		return;
	module_add_name(m, (struct name){
		.text = without_version(s, text), .lo = addr, .hi = sym.st_size && sym.st_size < end - addr ? addr + sym.st_size : end,
		.is_function = is_code, .is_sized = sym.st_size > 0,
		.is_static = GELF_ST_BIND(sym.st_info) == STB_LOCAL, .is_weak = GELF_ST_BIND(sym.st_info) == STB_WEAK });
}

/* Of names for one place, the best comes last: it has a size, is no alias with
 * underscores, is seen by other files. */
static int compare_names(const void *a, const void *b)
{
	const struct name *x = a, *y = b;

	if (x->lo != y->lo)
		return x->lo < y->lo ? -1 : 1;
	if (x->is_sized != y->is_sized)
		return x->is_sized ? 1 : -1;
	if ((*x->text == '_') != (*y->text == '_'))
		return *x->text == '_' ? -1 : 1;
	if (x->is_static != y->is_static)
		return x->is_static ? -1 : 1;
	return strcmp(y->text, x->text);
}

static void read_names(struct symbols *s, struct module *m)
{
	if (m->has_names || !m->mod)
		return;
	m->has_names = true;

	int n = dwfl_module_getsymtab(m->mod);

	for (int i = 1; i < n; i++)
		take_symbol(s, m, i);
	plt_names(s, m);
	if (m->n_names)
		qsort(m->names, m->n_names, sizeof *m->names, compare_names);
	/* What has no size reaches to the next. */
	for (size_t i = 0; i + 1 < m->n_names; i++)
		for (size_t k = i + 1; k < m->n_names && !m->names[i].is_sized; k++)
			if (m->names[k].lo > m->names[i].lo) {
				if (m->names[k].lo < m->names[i].hi)
					m->names[i].hi = m->names[k].lo;
				break;
			}
}

static void answer(const struct name *n, struct symbol *found)
{
	*found = (struct symbol){ .name = n->text, .lo = n->lo, .hi = n->is_sized ? n->hi : n->lo,
				  .is_function = n->is_function, .is_static = n->is_static };
}

bool symbol_at(struct symbols *s, uint64_t addr, struct symbol *found)
{
	struct module *m = module_at(s, addr);
	size_t lo = 0, hi;

	if (!m)
		return false;
	read_names(s, m);
	for (hi = m->n_names; lo < hi;) {
		size_t mid = lo + (hi - lo) / 2;

		if (m->names[mid].lo <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	/* Symbols may lie in others; the innermost begins last. */
	enum { FAR_ENOUGH = 64 };
	for (size_t i = lo; i > 0 && lo - i < FAR_ENOUGH; i--)
		if (addr < m->names[i - 1].hi) {
			answer(&m->names[i - 1], found);
			return true;
		}
	return false;
}

bool symbol_named(struct symbols *s, const char *name, struct symbol *found)
{
	const struct name *best = NULL;
	struct module *m;

	for (size_t i = 0; (m = module_by_rank(s, i)); i++) {
		if (best && m != s->modules && !is_ours(m))
			break;
		read_names(s, m);
		for (size_t k = 0; k < m->n_names; k++) {
			const struct name *n = &m->names[k];

			if (strcmp(n->text, name) == 0 && (!best || (best->is_static && !n->is_static)))
				best = n;
		}
	}
	if (best)
		answer(best, found);
	return best != NULL;
}

bool symbols_heap(struct symbols *s, uint64_t addr, uint64_t *offset)
{
	enum { MOST = 1 << 30 };
	uint64_t end = s->n ? s->modules[0].hi : 0;

	for (size_t i = 1; i < s->n; i++)
		if (s->modules[i].lo >= end && addr >= s->modules[i].lo)
			return false;
	*offset = addr - end;
	return end && addr >= end && *offset < MOST;
}

char *symbol_text(struct symbols *s, uint64_t addr, char *text, size_t len)
{
	struct symbol found;

	if (!symbol_at(s, addr, &found))
		snprintf(text, len, "0x%llx", (unsigned long long)addr);
	else if (found.lo == addr)
		snprintf(text, len, "%s", found.name);
	else
		snprintf(text, len, "%s+0x%llx", found.name, (unsigned long long)(addr - found.lo));
	return text;
}
