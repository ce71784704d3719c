/* SPDX-License-Identifier: MIT */
/* Names of local variables that lie on the stack. */
#include <dwarf.h>
#include <elfutils/libdw.h>
#include <stdio.h>
#include <stdlib.h>

#include "modules.h"
#include "symbols.h"

/* What offsets of variables count from: the CFA (gcc) or rbp (clang). */
static bool frame_base(struct symbols *s, Dwarf_Die *function, const struct regs *regs, uint64_t *base)
{
	Dwarf_Attribute attr;
	Dwarf_Op *ops;
	size_t n;

	if (!dwarf_attr_integrate(function, DW_AT_frame_base, &attr) || dwarf_getlocation(&attr, &ops, &n) || n != 1)
		return false;
	switch (ops->atom) {
	case DW_OP_call_frame_cfa:
		return frame_cfa(s, regs, base);
	case DW_OP_reg6:
		*base = regs->r[REG_RBP];
		return true;
	case DW_OP_reg7:
		*base = regs->r[REG_RSP];
		return true;
	default:
		return false;
	}
}

/* Does the variable lie around @addr? *@into: how far in. */
static bool lies_at(Dwarf_Die *variable, Dwarf_Addr pc, uint64_t base, uint64_t addr, uint64_t *into)
{
	Dwarf_Attribute attr, type_attr;
	Dwarf_Die type;
	Dwarf_Op *ops;
	Dwarf_Word size = 8;
	size_t n;

	if (!dwarf_attr_integrate(variable, DW_AT_location, &attr)
	    || dwarf_getlocation_addr(&attr, pc, &ops, &n, 1) != 1 || n != 1 || ops->atom != DW_OP_fbreg)
		return false;
	if (dwarf_formref_die(dwarf_attr_integrate(variable, DW_AT_type, &type_attr), &type))
		dwarf_aggregate_size(&type, &size);
	*into = addr - (base + ops->number);
	return *into < size;
}

/* Look among the variables of one scope. */
static bool search(Dwarf_Die *scope, Dwarf_Addr pc, uint64_t base, uint64_t addr, char *name, size_t len)
{
	Dwarf_Die child;
	uint64_t into;

	if (dwarf_child(scope, &child))
		return false;
	do {
		int tag = dwarf_tag(&child);
		const char *text = tag == DW_TAG_variable || tag == DW_TAG_formal_parameter ? dwarf_diename(&child) : NULL;

		if (!text || !lies_at(&child, pc, base, addr, &into))
			continue;
		if (into)
			snprintf(name, len, "%s+%llu", text, (unsigned long long)into);
		else
			snprintf(name, len, "%s", text);
		return true;
	} while (dwarf_siblingof(&child, &child) == 0);
	return false;
}

bool symbols_variable(struct symbols *s, const struct regs *regs, uint64_t addr, char *name, size_t len,
		      const char **function)
{
	struct module *m = module_at(s, regs->r[REG_RIP]);
	Dwarf_Addr bias = 0;
	Dwarf_Die *unit = m ? unit_at(m, regs->r[REG_RIP], &bias) : NULL, *scopes = NULL;
	Dwarf_Addr pc = regs->r[REG_RIP] - bias;
	int n = unit ? dwarf_getscopes(unit, pc, &scopes) : 0, last = 0;
	uint64_t base;
	bool is_found = false;

	/* From the innermost block out to the function that is really called. */
	while (last < n && dwarf_tag(&scopes[last]) != DW_TAG_subprogram)
		last++;
	if (last < n && frame_base(s, &scopes[last], regs, &base))
		for (int i = 0; i <= last && !is_found; i++)
			is_found = search(&scopes[i], pc, base, addr, name, len);
	if (is_found)
		*function = dwarf_diename(&scopes[last]);
	free(scopes);
	return is_found && *function;
}
