/* SPDX-License-Identifier: MIT */
/* decode: what instructions read and write, compared with what the processor does. */
#include <immintrin.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <ucontext.h>

#include "check.h"
#include "decode.h"

/* --- single instructions -------------------------------------------------------- */

static struct insn decoded(const char *bytes, size_t len)
{
	struct insn i;

	CHECK(decode((const uint8_t *)bytes, len, 0x1000, &i));
	return i;
}
#define DECODED(bytes) decoded(bytes, sizeof(bytes) - 1)

static void texts(void)
{
	CHECK_EQ(strcmp(DECODED("\x48\x89\x1f").text, "movq %rbx, (%rdi)"), 0);
	CHECK_EQ(strcmp(DECODED("\xff\xe2").text, "jmpq *%rdx"), 0);
	CHECK_EQ(strcmp(DECODED("\xf3\x0f\x1e\xfa").text, "endbr64"), 0);

	struct insn i;

	CHECK(!decode((const uint8_t *)"\x06", 1, 0, &i)); /* not in 64-bit mode */
	CHECK_EQ(i.len, 0);
	CHECK(!decode((const uint8_t *)"\x48\x89", 2, 0, &i)); /* cut off */
	CHECK(!decode(NULL, 0, 0, &i));
}

static void moves(void)
{
	struct insn i = DECODED("\x48\x89\x5f\x08"); /* movq %rbx, 8(%rdi) */
	struct regs r = { .r = { [REG_RDI] = 0x5000 } };

	CHECK_EQ(i.kind, INSN_MOVE);
	CHECK_EQ(i.from, REG_RBX);
	CHECK_EQ(i.to, REG_NONE);
	CHECK_EQ(i.n_mem, 1);
	CHECK(i.mem[0].is_written && !i.mem[0].is_read);
	CHECK_EQ(insn_mem_address(&i.mem[0], &r, 0x1004), 0x5008);

	i = DECODED("\x48\x8b\x66\x30"); /* movq 48(%rsi), %rsp */
	CHECK_EQ(i.to, REG_RSP);
	CHECK(i.mem[0].is_read && !i.mem[0].is_written);
	CHECK_EQ(i.mem[0].size, 8);

	i = DECODED("\x0f\xae\x5f\x40"); /* stmxcsr 64(%rdi) */
	CHECK_EQ(i.from, REG_MXCSR);
	CHECK_EQ(i.mem[0].size, 4);
	i = DECODED("\xd9\x6e\x44"); /* fldcw 68(%rsi) */
	CHECK_EQ(i.to, REG_X87CW);
	CHECK(i.regs_written & 1u << REG_X87CW);

	i = DECODED("\x48\x8d\x4c\x24\x08"); /* leaq 8(%rsp), %rcx */
	CHECK_EQ(i.n_mem, 0);
	i = DECODED("\x48\x8b\x05\x10\x00\x00\x00"); /* movq 16(%rip), %rax */
	CHECK_EQ(insn_mem_address(&i.mem[0], &r, 0x1007), 0x1017);
	i = DECODED("\x64\x48\x8b\x04\x25\x28\x00\x00\x00"); /* movq %fs:40, %rax */
	CHECK(i.mem[0].is_in_segment);
	i = DECODED("\x0f\x1f\x44\x00\x00"); /* nopl 0(%rax,%rax) */
	CHECK_EQ(i.n_mem, 0);
}

/* What capstone 4 does not know, we decode ourselves. */
static void masks(void)
{
	struct insn i = DECODED("\xc5\xfb\x93\xc1");

	CHECK_EQ(strcmp(i.text, "kmovd %k1, %eax"), 0);
	CHECK_EQ(i.regs_written, 1u << REG_RAX);
	i = DECODED("\xc4\xe1\xfb\x93\xd0");
	CHECK_EQ(strcmp(i.text, "kmovq %k0, %rdx"), 0);
	i = DECODED("\x62\xf3\x7d\x20\x3f\x47\x02\x00");
	CHECK_EQ(strcmp(i.text, "vpcmpeqb 0x40(%rdi), %ymm16, %k0"), 0);
	CHECK_EQ(i.len, 8);
	CHECK(i.n_mem == 1 && i.mem[0].is_read && !i.mem[0].is_written);
	CHECK_EQ(i.mem[0].size, 32);
	i = DECODED("\xc4\xe1\xf8\x91\x04\x24"); /* kmovq %k0, (%rsp) */
	CHECK(i.n_mem == 1 && i.mem[0].is_written);
	CHECK_EQ(i.mem[0].base, REG_RSP);
}

static void jumps(void)
{
	struct insn i = DECODED("\xe8\x10\x00\x00\x00"); /* call */

	CHECK_EQ(i.kind, INSN_CALL);
	CHECK(i.has_target);
	CHECK_EQ(i.target, 0x1015);
	CHECK_EQ(i.mem[0].disp, -8);
	CHECK(i.mem[0].is_written);

	i = DECODED("\x41\xff\xd4"); /* call *%r12 */
	CHECK_EQ(i.kind, INSN_CALL);
	CHECK(!i.has_target);
	CHECK(i.regs_read & 1u << REG_R12);
	i = DECODED("\xff\x33"); /* pushq (%rbx) */
	CHECK_EQ(i.n_mem, 2);
	CHECK(!i.mem[0].is_written && i.mem[1].is_written);
	i = DECODED("\x66\x50"); /* pushw %ax */
	CHECK(i.mem[0].disp == -2 && i.mem[0].size == 2);
	CHECK_EQ(DECODED("\xc3").kind, INSN_RETURN);
	CHECK_EQ(DECODED("\x74\x02").kind, INSN_BRANCH);
	CHECK_EQ(DECODED("\xeb\x02").kind, INSN_JUMP);
	CHECK_EQ(DECODED("\x0f\x05").kind, INSN_SYSCALL);
	CHECK_EQ(DECODED("\xf3\xa4").kind, INSN_STRING);
}

/* --- against the processor ------------------------------------------------------ */

/* What the traced program works in: its stack, and a block. Both are compared. */
enum { STACK_LEN = 40 * 1024, BLOCK_LEN = 16 * 1024, ARENA_LEN = STACK_LEN + BLOCK_LEN, MAX_STEPS = 40000 };
static _Alignas(64) uint8_t arena[ARENA_LEN], now[ARENA_LEN], before[ARENA_LEN];
static ucontext_t away, back;
static uint64_t seed;

static int by_value(const void *a, const void *b)
{
	return *(const int *)a < *(const int *)b ? -1 : *(const int *)a > *(const int *)b;
}

/* What compilers seldom write. */
static void rare_instructions(uint8_t *b)
{
	uint8_t *to = b + 2000, *from = b;
	long n = 9;

	__asm__ volatile("fxsave (%0)" : : "r"(b) : "memory");
	__asm__ volatile("stmxcsr 600(%0); xorl $0x6000, 600(%0); ldmxcsr 600(%0); fnstcw 608(%0); xorw $0xc00, 608(%0);"
			 "fldcw 608(%0); fxrstor (%0)" : : "r"(b) : "memory", "cc");
	__asm__ volatile("fnstenv (%0); fldenv (%0)" : : "r"(b + 600) : "memory");
	__asm__ volatile("fldpi; fnsave (%0); frstor (%0); fstp %%st(0)" : : "r"(b + 800) : "memory");
	__asm__ volatile("fldpi; fstpt (%0); fld1; fstps 16(%0); fldz; fistpll 24(%0); fldpi; fbstp 32(%0)"
			 : : "r"(b + 1000) : "memory");
	__asm__ volatile("stmxcsr (%0); fnstcw 8(%0); fnstsw 16(%0); ldmxcsr (%0); fldcw 8(%0)" : : "r"(b + 1100) : "memory");
	__asm__ volatile("cmpxchg16b (%0)" : : "r"(b + 1216), "a"(0), "d"(0), "b"(0x1234L), "c"(0x77L) : "memory", "cc");
	__asm__ volatile("lock; xaddq %1, (%0); xchgq %1, 8(%0); lock; cmpxchgq %1, 16(%0); xchgb %%al, 24(%0)"
			 : : "r"(b + 1300), "r"(3L) : "memory", "cc", "rax");
	__asm__ volatile("incl (%0); negq 8(%0); notb 16(%0); shlq $3, 24(%0); adcl $5, 32(%0); sete 40(%0); btsl $7, 44(%0)"
			 : : "r"(b + 1400) : "memory", "cc");
	__asm__ volatile("subq $256, %%rsp; pushq (%0); popq 8(%0); pushfq; popq 16(%0); pushq $9; popq %%rcx; pushw $3;"
			 "popw 24(%0); addq $256, %%rsp"
			 : : "r"(b + 1500) : "memory", "rcx");
	__asm__ volatile("subq $256, %%rsp; pushq $77; popq 16(%%rsp); enter $32, $0; leave; addq $256, %%rsp"
			 : : : "memory", "cc");
	__asm__ volatile("rep; movsb; rep; stosb; movsq; stosl; lodsw; scasb; cmpsb; movdqu %%xmm1, (%0)"
			 : "+D"(to), "+S"(from), "+c"(n) : : "memory", "rax", "cc");
	__asm__ volatile("maskmovdqu %%xmm1, %%xmm1" : : "D"(b + 3000) : "memory");
	__asm__ volatile("movhps %%xmm1, (%0); movlpd %%xmm1, 8(%0); movntiq %%rax, 16(%0); pextrw $1, %%xmm1, %%eax"
			 : : "r"(b + 4000) : "memory", "rax", "xmm1");
	__asm__ volatile("shldl $3, %%eax, (%0); movbe %%eax, 8(%0); cpuid"
			 : : "r"(b + 5000) : "memory", "rax", "rbx", "rcx", "rdx");
	__asm__ volatile("imulq (%0); mulq (%0); bsfq (%0), %%rax; rdtsc" : : "r"(b + 5100) : "memory", "rax", "rdx", "cc");
}

__attribute__((target("avx"))) static void avx_instructions(uint8_t *b)
{
	__m256d v = _mm256_set1_pd(0.3);

	_mm256_storeu_pd((double *)b, _mm256_div_pd(v, _mm256_set1_pd(7)));
	_mm_storeu_ps((float *)(b + 64), _mm256_cvtpd_ps(v));
	_mm_storeu_si128((__m128i *)(b + 96), _mm256_extractf128_si256(_mm256_castpd_si256(v), 1));
	_mm256_maskstore_pd((double *)(b + 128), _mm256_set1_epi64x(-1), v);
	__asm__ volatile("xsave (%0)" : : "r"(b + 4096 - (uintptr_t)b % 64), "a"(7), "d"(0) : "memory");
	__asm__ volatile("xsavec (%0); xrstor (%0)" : : "r"(b + 8192 - (uintptr_t)b % 64), "a"(7), "d"(0) : "memory");
}

static void library_code(uint8_t *b, struct rng *rng)
{
	unsigned n = rng_below(rng, 400), at = rng_below(rng, 64), to = rng_below(rng, 3000);
	int numbers[10];
	volatile double x = rng_below(rng, 1000) / 7.0;
	volatile long double y = x;

	memset(b + to, (int)n, n);
	memcpy(b + 6000 + at, b + to, n);
	memmove(b + 6000 + at + 5, b + 6000 + at, n);
	b[to + n] = 0;
	snprintf((char *)b + 8000, 200, "%d %s %g %Lf %zx", (int)n, "text", x, y, strlen((char *)b + to));
	b[9000] = (uint8_t)strtod((char *)b + 8003, NULL);
	b[9001] = strchr((char *)b + 8000, 't') != NULL;
	b[9002] = (uint8_t)memcmp(b + to, b + 6000, n);
	for (size_t i = 0; i < 10; i++)
		numbers[i] = (int)rng_below(rng, 100);
	qsort(numbers, 10, sizeof *numbers, by_value);
	y = y * 3 + x;
	x = __builtin_fabs(x - 3) / (double)y;
	b[9003] = (uint8_t)(x * 1e3);
}

static void program(void)
{
	struct rng rng = { seed };
	uint8_t *block = arena + STACK_LEN;

	block += -(uintptr_t)block & 63;
	rare_instructions(block);
	if (__builtin_cpu_supports("avx"))
		avx_instructions(block);
	library_code(block, &rng);
}

static struct regs regs_of(pid_t pid, struct user_regs_struct *u)
{
	struct user_fpregs_struct f;

	CHECK_EQ(ptrace(PTRACE_GETREGS, pid, NULL, u), 0);
	CHECK_EQ(ptrace(PTRACE_GETFPREGS, pid, NULL, &f), 0);
	return (struct regs){ .r = { u->rax, u->rbx, u->rcx, u->rdx, u->rsi, u->rdi, u->rbp, u->rsp, u->r8, u->r9, u->r10,
				     u->r11, u->r12, u->r13, u->r14, u->r15, u->rip, u->eflags, f.mxcsr, f.cwd } };
}

static void look(pid_t pid, uint8_t *to)
{
	struct iovec here = { to, ARENA_LEN }, there = { arena, ARENA_LEN };

	CHECK_EQ(process_vm_readv(pid, &here, 1, &there, 1, 0), ARENA_LEN);
}

static int is_covered(const struct insn *i, const struct regs *r, const struct user_regs_struct *u, uint64_t addr)
{
	for (size_t k = 0; k < i->n_mem; k++) {
		uint64_t at = insn_mem_address(&i->mem[k], r, r->r[REG_RIP] + i->len);

		if (i->mem[k].is_in_segment)
			at += u->fs_base;
		if (i->mem[k].is_written && !i->mem[k].size)
			return 1;
		if (i->mem[k].is_written && addr >= at && addr - at < i->mem[k].size)
			return 1;
	}
	return 0;
}

/* Is all that the step changed in what decode says it may change? */
static int check_step(const struct insn *i, const struct regs *old, const struct regs *new, const struct user_regs_struct *u)
{
	int bad = 0;

	for (int r = 0; r < N_REGS; r++)
		if (r != REG_RIP && old->r[r] != new->r[r] && !(i->regs_written & 1u << r)
		    && !(r == REG_EFLAGS && !((old->r[r] ^ new->r[r]) & ~0x10100ull))) /* TF, RF: the debugger's */
			bad = 1, fprintf(stderr, "%s: changes %s\n", i->text, reg_names[r]);
	if (new->r[REG_RIP] != old->r[REG_RIP] + i->len && !(i->regs_written & 1u << REG_RIP))
		bad = 1, fprintf(stderr, "%s: jumps\n", i->text);
	if (i->kind == INSN_SYSCALL || memcmp(before, now, ARENA_LEN) == 0)
		return bad;
	for (size_t at = 0; at < ARENA_LEN; at++)
		if (before[at] != now[at] && !is_covered(i, old, u, (uint64_t)(uintptr_t)(arena + at))) {
			fprintf(stderr, "%s: writes %p\n", i->text, (void *)(arena + at));
			return 1;
		}
	return bad;
}

static int traced(void)
{
	ptrace(PTRACE_TRACEME, 0, NULL, NULL);
	getcontext(&away);
	away.uc_stack.ss_sp = arena;
	away.uc_stack.ss_size = STACK_LEN;
	away.uc_link = &back;
	makecontext(&away, program, 0);
	raise(SIGSTOP);
	swapcontext(&back, &away);
	return 0;
}

static void oracle(void)
{
	int status, bad = 0, unknown = 0;
	size_t n = 0;

	seed = test_seed(42);

	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid == 0)
		_exit(traced());
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
	look(pid, now);

	struct user_regs_struct u;
	struct regs old = regs_of(pid, &u);

	for (; n < MAX_STEPS; n++) {
		uint8_t code[16];
		struct iovec here = { code, sizeof code }, there = { (void *)old.r[REG_RIP], sizeof code };
		struct insn insn;
		ssize_t got = process_vm_readv(pid, &here, 1, &there, 1, 0);
		int ok = decode(code, got > 0 ? (size_t)got : 0, old.r[REG_RIP], &insn);

		memcpy(before, now, ARENA_LEN);
		CHECK_EQ(ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL), 0);
		CHECK_EQ(waitpid(pid, &status, 0), pid);
		if (!WIFSTOPPED(status))
			break;
		CHECK_EQ(WSTOPSIG(status), SIGTRAP);

		struct user_regs_struct after;
		struct regs new = regs_of(pid, &after);

		look(pid, now);
		if (ok)
			bad += check_step(&insn, &old, &new, &u);
		else if (unknown++ < 10)
			fprintf(stderr, "not decoded: %02x %02x %02x %02x %02x %02x %02x\n", code[0], code[1], code[2], code[3],
				code[4], code[5], code[6]);
		old = new;
		u = after;
	}
	printf("# %zu instructions, %d of them not decoded\n", n, unknown);
	if (n == MAX_STEPS) /* with sanitizers it takes too long */
		kill(pid, SIGKILL);
	else
		CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	CHECK(n > 3000);
	CHECK_EQ(bad, 0);
}

static void garbage(void)
{
	struct rng rng = { test_seed(7) };

	for (int i = 0; i < 20000; i++) {
		uint8_t code[16];
		struct insn insn;
		size_t len = rng_below(&rng, sizeof code + 1);

		for (size_t k = 0; k < sizeof code; k++)
			code[k] = (uint8_t)rng_below(&rng, 256);
		if (decode(code, len, rng_next(&rng), &insn)) {
			CHECK(insn.len > 0 && insn.len <= len);
			CHECK(insn.n_mem <= 2);
			CHECK(memchr(insn.text, 0, sizeof insn.text) != NULL);
		}
	}
}

static const struct test_case cases[] = {
	{ "texts", "AT&T syntax, as our assembly has it", texts, 0, NULL },
	{ "moves", "a move says from where to where", moves, 0, NULL },
	{ "masks", "instructions on AVX-512's masks", masks, 0, NULL },
	{ "jumps", "calls, jumps, pushes: kinds, targets, and the stack that they imply", jumps, 0, NULL },
	{ "oracle", "whatever a step changes, decode has said may change", oracle, 0, NULL },
	{ "garbage", "any bytes are decoded or refused", garbage, 0, NULL },
};
TEST_MAIN(cases)
