/* SPDX-License-Identifier: MIT */
/*
 * Words that a program cannot change, from its files. Where they hold addresses, the
 * loader has relocated them.
 */
#include <string.h>

#include "modules.h"
#include "symbols.h"

static bool is_constant(struct module *m, uint64_t at)
{
	size_t n = 0;
	bool is_loaded = false, is_writable = true;

	if (elf_getphdrnum(m->elf, &n))
		return false;
	for (size_t i = 0; i < n; i++) {
		GElf_Phdr p;

		if (!gelf_getphdr(m->elf, (int)i, &p) || at < p.p_vaddr || at - p.p_vaddr + 8 > p.p_memsz)
			continue;
		if (p.p_type == PT_LOAD) {
			is_loaded = true;
			is_writable = is_writable && p.p_flags & PF_W;
		} else if (p.p_type == PT_GNU_RELRO) { /* written by the loader, then closed */
			is_writable = false;
			i = n;
		}
	}
	return is_loaded && !is_writable;
}

/* The relocation of the word at @at, if there is one. */
static bool find_relocation(struct module *m, uint64_t at, GElf_Rela *found)
{
	size_t n = 0;

	if (elf_getshdrnum(m->elf, &n))
		return false;
	for (size_t i = 1; i < n; i++) {
		Elf_Scn *section = elf_getscn(m->elf, i);
		GElf_Shdr shdr;

		if (!section || !gelf_getshdr(section, &shdr) || shdr.sh_type != SHT_RELA || !(shdr.sh_flags & SHF_ALLOC)
		    || !shdr.sh_entsize)
			continue;

		Elf_Data *data = elf_getdata(section, NULL);

		for (uint64_t k = 0; data && k < shdr.sh_size / shdr.sh_entsize; k++)
			if (gelf_getrela(data, (int)k, found) && found->r_offset == at)
				return true;
	}
	return false;
}

bool symbols_constant(struct symbols *s, uint64_t addr, uint64_t *value)
{
	struct module *m = module_at(s, addr);
	GElf_Rela r;

	if (!m || !is_constant(m, addr - m->bias))
		return false;
	if (!find_relocation(m, addr - m->bias, &r))
		return symbols_code(s, addr, (uint8_t *)value, sizeof *value) == sizeof *value;
	if (GELF_R_TYPE(r.r_info) != R_X86_64_RELATIVE)
		return false; /* another file's symbol */
	*value = m->bias + (uint64_t)r.r_addend;
	return true;
}
