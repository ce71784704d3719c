/* SPDX-License-Identifier: MIT */
/*
 * gdb_script — a few lines of Python that GDB runs when it opens a program with the
 * library in it: they load the commands, gdb/costep-gdb.py.
 *
 * In the switch's file, since that is linked whatever a program uses of us; a file of its
 * own in libcostep.a would be left out, as nobody asks for it by name. Not the name of a
 * file to be looked for (the other kind of entry), since GDB would look for it in its own
 * directories only: the lines below look beside the library that was installed, then
 * where it was compiled. They take no memory when the program runs, and `strip -g`
 * removes them.
 *
 * GDB runs them only for files below its auto-load safe-path, and otherwise says so and
 * how to allow it: add-auto-load-safe-path DIRECTORY in ~/.gdbinit.
 *
 * Format: the GDB manual, "The .debug_gdb_scripts section". 4 is a Python script in the
 * section itself; its first line is its name.
 */
	.pushsection .debug_gdb_scripts, "MS", @progbits, 1
	.byte	4
	.ascii	"gdb.inlined-costep\n"
	.ascii	"import os, sys\n"
	.ascii	"import gdb\n"
	.ascii	"def costep_find():\n"
	.ascii	"    file = gdb.current_objfile()\n"
	.ascii	"    here = os.path.dirname(os.path.realpath(file.filename))\n"
	.ascii	"    yield os.path.join(here, 'costep', 'gdb')\n"
	.ascii	"    yield os.path.join(here, '..', 'lib', 'costep', 'gdb')\n"
	.ascii	"    try:\n"
	.ascii	"        for place in gdb.decode_line('coctx_swap')[1] or ():\n"
	.ascii	"            if place.symtab:\n"
	.ascii	"                yield os.path.join(os.path.dirname(place.symtab.fullname()), '..', 'gdb')\n"
	.ascii	"    except gdb.error:\n"
	.ascii	"        pass\n"
	.ascii	"    yield '/usr/local/lib/costep/gdb'\n"
	.ascii	"    yield '/usr/lib/costep/gdb'\n"
	.ascii	"def costep_load():\n"
	.ascii	"    for directory in costep_find():\n"
	.ascii	"        script = os.path.join(os.path.normpath(directory), 'costep-gdb.py')\n"
	.ascii	"        if os.path.exists(script):\n"
	.ascii	"            return gdb.execute('source ' + script)\n"
	.ascii	"    gdb.write('costep: the co- commands are not beside the library; source gdb/costep-gdb.py loads them\\n')\n"
	.ascii	"if 'costep.commands' not in sys.modules:\n"
	.ascii	"    costep_load()\n"
	.byte	0
	.popsection
