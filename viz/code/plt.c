/* SPDX-License-Identifier: MIT */
/*
 * Stubs of the procedure linkage table have no symbols. Each jumps by way of a word in the
 * GOT; the relocation of that word has the name.
 */
#include <string.h>

#include "decode.h"
#include "modules.h"

enum { STUB_LEN = 16 };

/* The relocations of the words by which stubs jump, with the table of their symbols. */
struct jump_slots {
	Elf_Data *relocations, *symbols, *strings;
	size_t n;
};

static Elf_Data *section_data(Elf *elf, size_t index, GElf_Shdr *shdr)
{
	Elf_Scn *section = elf_getscn(elf, index);

	return section && gelf_getshdr(section, shdr) ? elf_getdata(section, NULL) : NULL;
}

/* The name that the word at @slot (a file's address) will point to; NULL: none. */
static const char *slot_name(const struct jump_slots *j, uint64_t slot)
{
	for (size_t i = 0; i < j->n; i++) {
		GElf_Rela r;
		GElf_Sym sym;

		if (!gelf_getrela(j->relocations, (int)i, &r) || r.r_offset != slot)
			continue;
		if (!gelf_getsym(j->symbols, (int)GELF_R_SYM(r.r_info), &sym) || sym.st_name >= j->strings->d_size)
			return NULL;

		const char *text = (const char *)j->strings->d_buf + sym.st_name;

		return memchr(text, 0, j->strings->d_size - sym.st_name) && *text ? text : NULL;
	}
	return NULL;
}

static void add_stub(struct symbols *s, struct module *m, uint64_t addr, const char *text)
{
	const char *name = keep_name(s, text, strcspn(text, "@"), "@plt");

	if (name)
		module_add_name(m, (struct name){ .text = name, .lo = addr, .hi = addr + STUB_LEN, .is_function = true,
						  .is_static = true, .is_sized = true });
}

/* Every stub of a section: where it jumps through tells whose it is. */
static void read_stubs(struct symbols *s, struct module *m, const struct jump_slots *j, const GElf_Shdr *shdr,
		       const Elf_Data *code)
{
	for (uint64_t at = 0; code && at + STUB_LEN <= code->d_size; at += STUB_LEN) {
		struct insn insn;

		for (uint64_t k = at; k < at + STUB_LEN; k += insn.len) {
			uint64_t addr = shdr->sh_addr + k;

			if (!decode((const uint8_t *)code->d_buf + k, at + STUB_LEN - k, addr, &insn))
				break;
			if (insn.kind != INSN_JUMP || !insn.n_mem || insn.mem[0].base != REG_RIP)
				continue;

			const char *text = slot_name(j, addr + insn.len + (uint64_t)insn.mem[0].disp);

			if (text)
				add_stub(s, m, shdr->sh_addr + at + m->bias, text);
			break;
		}
	}
}

/* Relocations of words that stubs use: of .rela.plt, or with "bind now", of .rela.dyn. */
static void each_relocations(struct symbols *s, struct module *m, const GElf_Shdr *stubs, const Elf_Data *code)
{
	size_t n = 0;

	if (elf_getshdrnum(m->elf, &n))
		return;
	for (size_t i = 1; i < n; i++) {
		GElf_Shdr rela, symtab, strtab;
		struct jump_slots j = { .relocations = section_data(m->elf, i, &rela) };

		if (!j.relocations || rela.sh_type != SHT_RELA || !(rela.sh_flags & SHF_ALLOC) || !rela.sh_entsize)
			continue;
		j.n = rela.sh_size / rela.sh_entsize;
		j.symbols = section_data(m->elf, rela.sh_link, &symtab);
		j.strings = j.symbols ? section_data(m->elf, symtab.sh_link, &strtab) : NULL;
		if (j.strings && j.strings->d_buf)
			read_stubs(s, m, &j, stubs, code);
	}
}

void plt_names(struct symbols *s, struct module *m)
{
	size_t n = 0, strings;

	if (elf_getshdrnum(m->elf, &n) || elf_getshdrstrndx(m->elf, &strings))
		return;
	for (size_t i = 1; i < n; i++) {
		GElf_Shdr shdr;
		Elf_Data *code = section_data(m->elf, i, &shdr);
		const char *name = code ? elf_strptr(m->elf, strings, shdr.sh_name) : NULL;

		if (name && strncmp(name, ".plt", 4) == 0 && shdr.sh_type == SHT_PROGBITS && code->d_buf)
			each_relocations(s, m, &shdr, code);
	}
}
