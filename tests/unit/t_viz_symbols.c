/* SPDX-License-Identifier: MIT */
/* symbols, source, unwind: what they say of this very program. */
#include <fcntl.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "symbols.h"
#include "two.h"

/* A label without type and size, as hand-written assembly has them. */
__asm__(".text\n.p2align 4\nbare_label: nop\nnop\nret\n.globl sized_after\n.type sized_after,@function\n"
	"sized_after: ret\n.size sized_after, .-sized_after\nnop\nnop\n");
extern const char sized_after[];

static struct symbols *ours(void)
{
	struct symbols *s = symbols_new();
	FILE *f = fopen("/proc/self/maps", "re");
	char line[4352];

	CHECK(s && f);
	while (fgets(line, sizeof line, f)) {
		unsigned long lo, hi, offset;
		char path[4096] = "";

		if (sscanf(line, "%lx-%lx %*s %lx %*s %*s %4095[^\n]", &lo, &hi, &offset, path) == 4)
			symbols_add_map(s, path, lo, hi, offset);
	}
	fclose(f);
	symbols_ready(s);
	return s;
}

__attribute__((noinline)) static int a_static_function(int x)
{
	return x + 1; /* THE LINE */
}

__attribute__((noinline)) int a_global_function(int x);
int a_global_function(int x)
{
	return a_static_function(x) + 1;
}

static void names(void)
{
	struct symbols *s = ours();
	struct symbol found;
	char text[64];

	CHECK(symbol_at(s, address(a_static_function) + 1, &found));
	CHECK_EQ(strcmp(found.name, "a_static_function"), 0);
	CHECK(found.is_function && found.is_static && found.hi > found.lo);
	CHECK_EQ(found.lo, address(a_static_function));
	CHECK_EQ(strcmp(symbol_text(s, found.lo + 1, text, sizeof text), "a_static_function+0x1"), 0);
	CHECK_EQ(strcmp(symbol_text(s, found.lo, text, sizeof text), "a_static_function"), 0);
	CHECK_EQ(strcmp(symbol_text(s, 0x10, text, sizeof text), "0x10"), 0);

	CHECK(symbol_named(s, "a_global_function", &found));
	CHECK(found.lo == address(a_global_function) && !found.is_static);
	CHECK(symbol_named(s, "coctx_nobody", &found));
	CHECK(!found.is_function && found.hi - found.lo == sizeof(struct coctx));
	CHECK(symbol_named(s, "qsort", &found)); /* libc's */
	CHECK(found.lo != 0);
	CHECK(!symbol_named(s, "no_such_name", &found));
	symbols_free(s);
}

static void labels(void)
{
	struct symbols *s = ours();
	struct symbol found;

	CHECK(symbol_named(s, "bare_label", &found));
	CHECK_EQ(found.lo, found.hi);
	CHECK(symbol_at(s, found.lo + 2, &found));
	CHECK_EQ(strcmp(found.name, "bare_label"), 0);
	CHECK(symbol_at(s, address(sized_after), &found));
	CHECK_EQ(strcmp(found.name, "sized_after"), 0);
	CHECK_EQ(found.hi - found.lo, 1);
	CHECK(!symbol_at(s, address(sized_after) + 1, &found) || strcmp(found.name, "bare_label"));
	symbols_free(s);
}

static void stubs(void)
{
	struct symbols *s = ours();
	struct symbol found, again;

	CHECK(symbol_named(s, "fork@plt", &found));
	CHECK(found.is_function);
	CHECK(symbol_at(s, found.lo + 4, &again));
	CHECK_EQ(found.lo, again.lo);
	symbols_free(s);
}

static int line_with(const struct source_text *t, const char *what)
{
	for (int i = 0; i < t->n; i++)
		if (strstr(t->lines[i], what))
			return i + 1;
	return 0;
}

static void lines(void)
{
	struct symbols *s = ours();
	struct source_line a, b;
	uint64_t addr;

	CHECK(source_at(s, address(a_static_function), &a));
	CHECK(*a.path == '/' && strstr(a.path, "/tests/unit/t_viz_symbols.c"));
	CHECK(source_at(s, address(a_global_function), &b));
	CHECK(a.path == b.path && b.line > a.line);

	const struct source_text *t = source_text(s, a.path);

	CHECK(t && t->n > 100);
	int line = line_with(t, "THE LINE");
	CHECK(line >= a.line && line <= a.line + 2);
	CHECK(source_address(s, "t_viz_symbols.c", line, &addr));
	CHECK(source_at(s, addr, &b));
	CHECK_EQ(b.line, line);
	CHECK(source_at(s, addr, &b) && b.line == line); /* from the cache */
	CHECK(source_address(s, "unit/t_viz_symbols.c", line, &addr));
	CHECK(!source_address(s, "z_symbols.c", line, &addr));
	CHECK(!source_at(s, 0x10, &b));
	CHECK(source_at(s, address(coctx_make), &b)); /* included as ../../src/coctx.c */
	CHECK(strstr(b.path, "/src/coctx.c") && !strstr(b.path, "/.."));
	CHECK(source_text(s, "/no/such/file") == NULL);
	CHECK(source_text(s, "/") == NULL);
	symbols_free(s);
}

static void fields(void)
{
	struct symbols *s = ours();
	uint32_t offset, size;

	CHECK(symbols_field(s, "coctx", "rsp", &offset, &size));
	CHECK_EQ(offset, offsetof(struct coctx, rsp));
	CHECK_EQ(size, 8);
	CHECK(symbols_field(s, "coctx", "x87cw", &offset, &size));
	CHECK_EQ(offset, offsetof(struct coctx, x87cw));
	CHECK_EQ(size, 2);
	CHECK(!symbols_field(s, "coctx", "none", &offset, &size));
	CHECK(!symbols_field(s, "no_struct", "none", &offset, &size));
	symbols_free(s);
}

static void code(void)
{
	struct symbols *s = ours();
	uint8_t bytes[32];
	uint64_t value;

	CHECK_EQ(symbols_code(s, address(a_global_function), bytes, 32), 32);
	CHECK_EQ(memcmp(bytes, (const void *)a_global_function, 32), 0);
	CHECK_EQ(symbols_code(s, 0x10, bytes, 32), 0);
	/* A constant that the loader has relocated, and one that is no constant. */
	CHECK(symbols_constant(s, address(&coctx_nobody.rip), &value));
	CHECK_EQ(value, address(coctx_nobody.rip));
	static volatile uint64_t variable = 5;
	CHECK(!symbols_constant(s, address((const void *)&variable), &value));
	symbols_free(s);
}

static void no_files(void)
{
	struct symbols *s = symbols_new();
	struct symbol found;
	struct source_line line;
	char text[32], path[] = "/tmp/t_viz_symbols.XXXXXX";
	int fd = mkstemp(path);

	CHECK(fd >= 0);
	CHECK_EQ(write(fd, "\177ELF\2\1\1 and nothing else", 25), 25);
	symbols_add_map(s, "/no/such/file", 0x1000, 0x2000, 0);
	symbols_add_map(s, path, 0x3000, 0x4000, 0);
	symbols_add_map(s, "[vdso]", 0x5000, 0x6000, 0);
	symbols_add_map(s, "/dev/zero", 0x7000, 0x8000, 0);
	symbols_add_map(s, "/", 0x9000, 0xa000, 0);
	char pipe_path[] = "/tmp/t_viz_pipe.XXXXXX";

	CHECK(mkdtemp(pipe_path) && rmdir(pipe_path) == 0 && mkfifo(pipe_path, 0600) == 0);
	symbols_add_map(s, pipe_path, 0xa000, 0xb000, 0);
	symbols_ready(s);
	for (uint64_t addr = 0x800; addr < 0xb000; addr += 0x800) {
		CHECK(!symbol_at(s, addr, &found));
		CHECK(!source_at(s, addr, &line));
		CHECK_EQ(strncmp(symbol_text(s, addr, text, sizeof text), "0x", 2), 0);
	}
	CHECK(!symbol_named(s, "main", &found));
	CHECK(source_text(s, pipe_path) == NULL);
	symbols_free(s);
	unlink(pipe_path);
	close(fd);
	unlink(path);
}

/* A file cut off anywhere, or with wrong bytes, is no crash. */
static void damaged_files(void)
{
	struct rng rng = { test_seed(3) };
	char path[] = "/tmp/t_viz_symbols.XXXXXX";
	int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC), fd = mkstemp(path);
	off_t len = lseek(from, 0, SEEK_END);
	uint8_t *bytes = mmap(NULL, (size_t)len, PROT_READ | PROT_WRITE, MAP_PRIVATE, from, 0);
	struct symbols *s;

	CHECK(fd >= 0 && bytes != MAP_FAILED);
	for (int i = 0; i < 12; i++) {
		size_t keep = i % 2 ? (size_t)len : rng_below(&rng, (unsigned)len);
		struct symbol found;
		struct source_line line;
		uint32_t offset, size;

		for (int k = 0; k < 40 && i % 2; k++)
			bytes[rng_below(&rng, k < 10 ? 4096 : (unsigned)len)] ^= (uint8_t)(1 + rng_below(&rng, 255));
		CHECK_EQ(ftruncate(fd, 0), 0);
		CHECK_EQ(pwrite(fd, bytes, keep, 0), keep);
		s = symbols_new();
		symbols_add_map(s, path, 0x555555554000, 0x555555554000 + (uint64_t)len, 0);
		symbols_ready(s);
		for (int k = 0; k < 50; k++) {
			uint64_t addr = 0x555555554000 + rng_below(&rng, (unsigned)len);
			uint8_t room[16];

			symbol_at(s, addr, &found);
			source_at(s, addr, &line);
			symbols_code(s, addr, room, sizeof room);
		}
		symbol_named(s, "main", &found);
		symbols_field(s, "coctx", "rsp", &offset, &size);
		symbols_free(s);
	}
	close(fd);
	close(from);
	unlink(path);
}

/* --- frames, at every instruction of a switch -------------------------------------- */

enum { MAX_FRAMES = 64 };

static int has(struct symbols *s, const struct frame *frames, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++) {
		struct symbol found;

		if (symbol_at(s, frames[i].pc - (i > 0), &found) && strcmp(found.name, name) == 0)
			return 1;
	}
	return 0;
}

/* The walk from here ends in main's start, through the right functions. */
static void check_walk(struct symbols *s, const struct regs *r)
{
	struct frame frames[MAX_FRAMES];
	const char *why;
	char text[64];
	size_t n = unwind(s, r, two_read, NULL, frames, MAX_FRAMES, &why), seams = 0;
	int is_there = r->r[REG_RSP] > address(other_stack) && r->r[REG_RSP] <= address(other_stack + TWO_STACK);
	int has_begun = is_there && r->r[REG_RSP] < address(other_stack + TWO_STACK);

	for (size_t i = 0; i < n; i++) {
		uint64_t word;

		seams += frames[i].is_seam;
		if (frames[i].return_at) {
			CHECK(two_read(NULL, frames[i].return_at, &word, 8));
			CHECK_EQ(word, frames[i + 1].pc);
		}
	}
	if (why || !has(s, frames, n, "main") || has(s, frames, n, "other_leaf") != has_begun || (int)seams != is_there
	    || has(s, frames, n, "caller_of_swap") != 1) {
		fprintf(stderr, "at %s, %zu frames, %s:\n", symbol_text(s, r->r[REG_RIP], text, sizeof text), n,
			why ? why : "ended");
		for (size_t i = 0; i < n; i++)
			fprintf(stderr, "  %s cfa %#llx\n", symbol_text(s, frames[i].pc, text, sizeof text),
				(unsigned long long)frames[i].cfa);
		CHECK(!"a wrong walk");
	}
}

static void every_instruction(void)
{
	struct symbols *s = ours();
	int n = 0, total = 0;

	for (two_start(); two_step(); total++) {
		struct regs r = two_registers();
		struct symbol found;

		if (symbol_at(s, r.r[REG_RIP], &found) && strcmp(found.name, "coctx_swap") == 0) {
			n++;
			check_walk(s, &r);
		}
	}
	printf("# %d of %d instructions lie in the switch\n", n, total);
	CHECK(n >= 2 * TWO_TURNS * 25);
	symbols_free(s);
}

static bool read_self(void *arg, uint64_t addr, void *to, size_t len)
{
	(void)arg;
	two_child = getpid();
	return two_read(NULL, addr, to, len);
}

static bool read_nothing(void *arg, uint64_t addr, void *to, size_t len)
{
	(void)arg, (void)addr, (void)to, (void)len;
	return false;
}

/* A suspended execution ends in a function that says so, though its constants are in no trace. */
static void suspended(void)
{
	struct symbols *s = ours();
	struct frame frames[MAX_FRAMES];
	struct regs r = { .r = { 0 } };
	const char *why;
	static const struct coctx *const nobody = &coctx_nobody;

	coctx_make(&there, other_stack + TWO_STACK, other_body, NULL, &nobody);
	r.r[REG_RBX] = (uint64_t)there.rbx;
	r.r[REG_RSP] = (uint64_t)there.rsp;
	r.r[REG_RIP] = (uint64_t)there.rip;

	size_t n = unwind(s, &r, read_self, NULL, frames, MAX_FRAMES, &why);

	CHECK(why == NULL);
	CHECK_EQ(n, 2);
	CHECK(frames[0].is_seam && has(s, frames, n, "co_has_no_resumer"));
	CHECK_EQ(frames[0].cfa, address(other_stack + TWO_STACK));
	CHECK_EQ(frames[0].return_at, 0);
	CHECK_EQ(frames[1].return_at, 0);
	n = unwind(s, &r, read_nothing, NULL, frames, MAX_FRAMES, &why);
	CHECK(n == 2 && !why); /* `nobody` is a constant as well */
	symbols_free(s);
}

static void bad_stacks(void)
{
	struct symbols *s = ours();
	struct frame frames[MAX_FRAMES];
	struct rng rng = { test_seed(11) };
	const char *why;

	for (int i = 0; i < 3000; i++) {
		struct regs r;

		for (int k = 0; k < N_REGS; k++)
			r.r[k] = rng_below(&rng, 2) ? rng_next(&rng) : address(other_stack) + rng_below(&rng, TWO_STACK);
		r.r[REG_RIP] = address(a_global_function) + rng_below(&rng, 100000);
		for (int k = 0; k < 16; k++)
			memcpy(other_stack + rng_below(&rng, TWO_STACK - 8), &r.r[rng_below(&rng, REG_RIP + 1)], 8);

		size_t n = unwind(s, &r, read_self, NULL, frames, MAX_FRAMES, &why);

		CHECK(n >= 1 && n <= MAX_FRAMES);
	}
	struct regs r = { .r = { [REG_RIP] = address(a_global_function), [REG_RSP] = 64 } };
	CHECK_EQ(unwind(s, &r, read_nothing, NULL, frames, MAX_FRAMES, &why), 1);
	CHECK(strstr(why, "memory at 0x40 "));
	r.r[REG_RIP] = 16;
	CHECK_EQ(unwind(s, &r, read_nothing, NULL, frames, MAX_FRAMES, &why), 1);
	CHECK(strstr(why, "no unwind information at 0x10"));
	symbols_free(s);
}

static const struct test_case cases[] = {
	{ "names", "functions and objects by address and by name", names, 0, NULL },
	{ "labels", "a label without a size reaches to the next symbol", labels, 0, NULL },
	{ "stubs", "stubs of the procedure linkage table have a name", stubs, 0, NULL },
	{ "lines", "from an address to a line, its text, and back", lines, 0, NULL },
	{ "fields", "fields of structs, by the debug information", fields, 0, NULL },
	{ "code", "code and constants come from the files", code, 0, NULL },
	{ "no_files", "files that are missing, or none, name nothing", no_files, 0, NULL },
	{ "damaged_files", "damaged files are no crash", damaged_files, 0, NULL },
	{ "every_instruction", "frames are right at every instruction of the switch", every_instruction, 0, NULL },
	{ "suspended", "a suspended execution's chain has an end with a name", suspended, 0, NULL },
	{ "bad_stacks", "any registers and any stack end the walk with a reason", bad_stacks, 0, NULL },
};
TEST_MAIN(cases)
