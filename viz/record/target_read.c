/* SPDX-License-Identifier: MIT */
/* What is read of a target: registers, memory, output. */
#include "target.h"

#include <errno.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <unistd.h>

int target_regs(const struct target *t, struct regs *regs)
{
	struct user_regs_struct u;

	if (ptrace(PTRACE_GETREGS, t->followed, 0, &u) != 0)
		return -1;
	const uint64_t values[] = {
		[REG_RAX] = u.rax, [REG_RBX] = u.rbx, [REG_RCX] = u.rcx, [REG_RDX] = u.rdx,
		[REG_RSI] = u.rsi, [REG_RDI] = u.rdi, [REG_RBP] = u.rbp, [REG_RSP] = u.rsp,
		[REG_R8] = u.r8, [REG_R9] = u.r9, [REG_R10] = u.r10, [REG_R11] = u.r11,
		[REG_R12] = u.r12, [REG_R13] = u.r13, [REG_R14] = u.r14, [REG_R15] = u.r15,
		[REG_RIP] = u.rip, [REG_EFLAGS] = u.eflags & ~0x10000ul, /* RF: a breakpoint was here; that is ours */
	};
	memcpy(regs->r, values, sizeof(values));
	return 0;
}

int target_fp_regs(const struct target *t, struct regs *regs)
{
	struct user_fpregs_struct u;

	if (ptrace(PTRACE_GETFPREGS, t->followed, 0, &u) != 0)
		return -1;
	regs->r[REG_MXCSR] = u.mxcsr;
	regs->r[REG_X87CW] = u.cwd;
	return 0;
}

bool target_read(void *arg, uint64_t addr, void *to, size_t len)
{
	const struct target *t = arg;
	struct iovec here = { to, len }, there = { (void *)(uintptr_t)addr, len };

	return len == 0 || process_vm_readv(t->pid, &here, 1, &there, 1, 0) == (ssize_t)len;
}

enum {
	BATCH = 256,
	NEAR = 512, /* bytes between two ranges that are read along: a range more costs about as much */
};

/* One call for @n ranges, up to BATCH. It ends at the first that cannot be read: what was
 * read tells which. Returns how many are settled. */
static size_t read_batch(const struct target *t, struct target_range *ranges, size_t n)
{
	struct iovec here[BATCH], there[BATCH];

	for (size_t i = 0; i < n; i++) {
		here[i] = (struct iovec){ ranges[i].to, ranges[i].len };
		there[i] = (struct iovec){ (void *)(uintptr_t)ranges[i].addr, ranges[i].len };
	}
	ssize_t got = process_vm_readv(t->pid, here, n, there, n, 0);
	size_t i = 0;
	while (i < n && got >= 0 && (size_t)got >= ranges[i].len) {
		got -= (ssize_t)ranges[i].len;
		ranges[i++].is_read = true;
	}
	if (i < n)
		ranges[i++].is_read = false;
	return i;
}

/* The same, and neighbours as one: what lies between them goes nowhere. False: some of it
 * cannot be read, and nothing is settled. */
static bool read_neighbours(const struct target *t, struct target_range *ranges, size_t n)
{
	struct iovec here[2 * BATCH], there[BATCH];
	static char between[NEAR];
	size_t n_here = 0, n_there = 0, total = 0;

	for (size_t i = 0; i < n; i++) {
		struct iovec *last = n_there > 0 ? &there[n_there - 1] : NULL;
		uint64_t end = last ? (uint64_t)(uintptr_t)last->iov_base + last->iov_len : 0;
		uint64_t gap = ranges[i].addr - end; /* huge if it lies before */
		if (last && gap <= NEAR) {
			if (gap > 0)
				here[n_here++] = (struct iovec){ between, gap };
			last->iov_len += gap + ranges[i].len;
			total += gap;
		} else {
			there[n_there++] = (struct iovec){ (void *)(uintptr_t)ranges[i].addr, ranges[i].len };
		}
		here[n_here++] = (struct iovec){ ranges[i].to, ranges[i].len };
		total += ranges[i].len;
	}
	if (process_vm_readv(t->pid, here, n_here, there, n_there, 0) != (ssize_t)total)
		return false;
	for (size_t i = 0; i < n; i++)
		ranges[i].is_read = true;
	return true;
}

void target_read_many(const struct target *t, struct target_range *ranges, size_t n)
{
	for (size_t i = 0; i < n;) {
		size_t some = n - i < BATCH ? n - i : BATCH;
		i += some > 1 && read_neighbours(t, ranges + i, some) ? some : read_batch(t, ranges + i, some);
	}
}

void target_take_output(struct target *t)
{
	char bytes[4096];

	while (t->output >= 0) {
		ssize_t n = read(t->output, bytes, sizeof(bytes));
		if (n > 0 && t->on_output)
			t->on_output(t->on_output_arg, bytes, (size_t)n);
		if (n > 0 || (n < 0 && errno == EINTR))
			continue;
		if (n == 0 || errno != EAGAIN) { /* EIO: nobody can write to it any more */
			close(t->output);
			t->output = -1;
		}
		break;
	}
}
