/* SPDX-License-Identifier: MIT */
/* Symbols of files. Each file's are read when first asked for, and sorted. */
#include "symbols.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "modules.h"

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
		if (best && m != s->modules && !module_is_ours(m))
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
