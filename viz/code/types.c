/* SPDX-License-Identifier: MIT */
/* Where fields of structs lie, by the debug information. */
#include <dwarf.h>
#include <elfutils/libdw.h>
#include <string.h>

#include "modules.h"
#include "symbols.h"

/* The child of @in with one of two tags and a name; of structs, not mere declarations. */
static bool child_named(Dwarf_Die *in, int tag, const char *name, size_t len, Dwarf_Die *found)
{
	Dwarf_Attribute attr;

	if (dwarf_child(in, found))
		return false;
	do {
		const char *text = dwarf_diename(found);

		if (dwarf_tag(found) == tag && text && strlen(text) == len && memcmp(text, name, len) == 0
		    && !dwarf_attr(found, DW_AT_declaration, &attr))
			return true;
	} while (dwarf_siblingof(found, found) == 0);
	return false;
}

static bool type_of(Dwarf_Die *die, Dwarf_Die *type)
{
	Dwarf_Attribute attr;
	Dwarf_Die plain;

	return dwarf_formref_die(dwarf_attr_integrate(die, DW_AT_type, &attr), &plain) && dwarf_peel_type(&plain, type) == 0;
}

/* "a.b" in @type: add up where it lies. */
static bool field_in(Dwarf_Die *type, const char *field, uint32_t *offset, uint32_t *size)
{
	Dwarf_Die member, member_type;
	Dwarf_Attribute attr;
	Dwarf_Word at = 0, n = 0;
	size_t len = strcspn(field, ".");

	if (!child_named(type, DW_TAG_member, field, len, &member) || !type_of(&member, &member_type))
		return false;
	if (dwarf_attr(&member, DW_AT_data_member_location, &attr)) /* absent in unions: 0 */
		dwarf_formudata(&attr, &at);
	*offset += (uint32_t)at;
	if (field[len])
		return field_in(&member_type, field + len + 1, offset, size);
	if (dwarf_aggregate_size(&member_type, &n))
		return false;
	*size = (uint32_t)n;
	return true;
}

bool symbols_field(struct symbols *s, const char *type, const char *field, uint32_t *offset, uint32_t *size)
{
	struct module *m;

	for (size_t i = 0; (m = module_by_rank(s, i)); i++) {
		Dwarf_Die *unit = NULL, found;
		Dwarf_Addr bias;

		while (m->elf && (unit = dwfl_module_nextcu(m->mod, unit, &bias))) {
			*offset = 0;
			if (child_named(unit, DW_TAG_structure_type, type, strlen(type), &found)
			    && field_in(&found, field, offset, size))
				return true;
		}
	}
	return false;
}
