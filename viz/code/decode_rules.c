/* SPDX-License-Identifier: MIT */
/* Tables over instructions, from Intel's manual, volume 2. */
#include "decode_rules.h"

#include <string.h>

enum { XSAVE_LEN = 2696 /* all that Linux enables but AMX's tiles, which nothing saves unasked */ };

enum insn_kind rules_kind(unsigned id, const cs_x86 *x)
{
	switch (id) {
	case X86_INS_CALL: case X86_INS_LCALL:
		return INSN_CALL;
	case X86_INS_RET: case X86_INS_RETF: case X86_INS_RETFQ: case X86_INS_IRET: case X86_INS_IRETD:
	case X86_INS_IRETQ:
		return INSN_RETURN;
	case X86_INS_JMP: case X86_INS_LJMP:
		return INSN_JUMP;
	case X86_INS_JAE: case X86_INS_JA: case X86_INS_JBE: case X86_INS_JB: case X86_INS_JCXZ: case X86_INS_JECXZ:
	case X86_INS_JE: case X86_INS_JGE: case X86_INS_JG: case X86_INS_JLE: case X86_INS_JL: case X86_INS_JNE:
	case X86_INS_JNO: case X86_INS_JNP: case X86_INS_JNS: case X86_INS_JO: case X86_INS_JP: case X86_INS_JRCXZ:
	case X86_INS_JS: case X86_INS_LOOP: case X86_INS_LOOPE: case X86_INS_LOOPNE:
		return INSN_BRANCH;
	case X86_INS_PUSH: case X86_INS_PUSHFQ: case X86_INS_PUSHF:
		return INSN_PUSH;
	case X86_INS_POP: case X86_INS_POPFQ: case X86_INS_POPF:
		return INSN_POP;
	case X86_INS_MOV: case X86_INS_MOVABS: case X86_INS_MOVZX: case X86_INS_MOVSX: case X86_INS_MOVSXD:
	case X86_INS_LDMXCSR: case X86_INS_STMXCSR: case X86_INS_VLDMXCSR: case X86_INS_VSTMXCSR: case X86_INS_FLDCW:
	case X86_INS_FNSTCW:
		return INSN_MOVE;
	case X86_INS_SYSCALL: case X86_INS_SYSENTER: case X86_INS_INT:
		return INSN_SYSCALL;
	case X86_INS_MOVSB: case X86_INS_MOVSW: case X86_INS_MOVSQ: case X86_INS_STOSB: case X86_INS_STOSW:
	case X86_INS_STOSD: case X86_INS_STOSQ: case X86_INS_LODSB: case X86_INS_LODSW: case X86_INS_LODSD:
	case X86_INS_LODSQ: case X86_INS_SCASB: case X86_INS_SCASW: case X86_INS_SCASD: case X86_INS_SCASQ:
	case X86_INS_CMPSB: case X86_INS_CMPSW: case X86_INS_CMPSQ:
		return INSN_STRING;
	case X86_INS_MOVSD: case X86_INS_CMPSD: /* the string's, or one on doubles: that has xmm registers */
		return x->opcode[0] == 0xa5 || x->opcode[0] == 0xa7 ? INSN_STRING : INSN_OTHER;
	default:
		return INSN_OTHER;
	}
}

enum access rules_access(unsigned id, int n, int i)
{
	switch (id) {
	/* No memory is touched; a register is written. */
	case X86_INS_LEA:
		return i == 0 ? WRITES : NO_ACCESS;
	/* Nothing at all. */
	case X86_INS_NOP: case X86_INS_PREFETCH: case X86_INS_PREFETCHNTA: case X86_INS_PREFETCHT0:
	case X86_INS_PREFETCHT1: case X86_INS_PREFETCHT2: case X86_INS_PREFETCHW: case X86_INS_CLFLUSH:
	case X86_INS_CLFLUSHOPT: case X86_INS_CLWB: case X86_INS_INVLPG:
		return NO_ACCESS;
	/* All operands are read, none is written. */
	case X86_INS_CMP: case X86_INS_TEST: case X86_INS_BT: case X86_INS_PUSH: case X86_INS_CALL: case X86_INS_JMP:
	case X86_INS_LCALL: case X86_INS_LJMP: case X86_INS_DIV: case X86_INS_IDIV: case X86_INS_MUL:
	case X86_INS_RET:
	case X86_INS_LDMXCSR: case X86_INS_VLDMXCSR: case X86_INS_FLDCW: case X86_INS_FLDENV: case X86_INS_FRSTOR:
	case X86_INS_FXRSTOR: case X86_INS_FXRSTOR64: case X86_INS_XRSTOR: case X86_INS_XRSTOR64:
	case X86_INS_XRSTORS: case X86_INS_XRSTORS64:
	case X86_INS_FLD: case X86_INS_FILD: case X86_INS_FBLD: case X86_INS_FADD: case X86_INS_FIADD: case X86_INS_FSUB:
	case X86_INS_FISUB: case X86_INS_FSUBR: case X86_INS_FISUBR: case X86_INS_FMUL: case X86_INS_FIMUL:
	case X86_INS_FDIV: case X86_INS_FIDIV: case X86_INS_FDIVR: case X86_INS_FIDIVR: case X86_INS_FCOM:
	case X86_INS_FCOMP: case X86_INS_FICOM: case X86_INS_FICOMP:
	case X86_INS_COMISD: case X86_INS_COMISS: case X86_INS_UCOMISD: case X86_INS_UCOMISS: case X86_INS_VCOMISD:
	case X86_INS_VCOMISS: case X86_INS_VUCOMISD: case X86_INS_VUCOMISS: case X86_INS_PTEST: case X86_INS_VPTEST:
	case X86_INS_PCMPISTRI: case X86_INS_PCMPESTRI: case X86_INS_VPCMPISTRI: case X86_INS_VPCMPESTRI:
	case X86_INS_SCASB: case X86_INS_SCASW: case X86_INS_SCASD: case X86_INS_SCASQ:
	case X86_INS_CMPSB: case X86_INS_CMPSW: case X86_INS_CMPSQ:
	case X86_INS_MASKMOVDQU: case X86_INS_VMASKMOVDQU:
		return READS;
	case X86_INS_IMUL: /* of one operand: the product goes to rdx:rax */
		return n == 1 || i > 0 ? READS : n == 2 ? READS_AND_WRITES : WRITES;
	case X86_INS_XCHG: case X86_INS_XADD:
		return READS_AND_WRITES;
	case X86_INS_MULX:
		return i < 2 ? WRITES : READS;
	/* The destination is written without being read. */
	case X86_INS_MOV: case X86_INS_MOVABS: case X86_INS_MOVZX: case X86_INS_MOVSX: case X86_INS_MOVSXD:
	case X86_INS_POP: case X86_INS_MOVBE:
	case X86_INS_MOVSB: case X86_INS_MOVSW: case X86_INS_MOVSQ: case X86_INS_STOSB: case X86_INS_STOSW:
	case X86_INS_STOSD: case X86_INS_STOSQ: case X86_INS_LODSB: case X86_INS_LODSW: case X86_INS_LODSD:
	case X86_INS_LODSQ:
	case X86_INS_SETAE: case X86_INS_SETA: case X86_INS_SETBE: case X86_INS_SETB: case X86_INS_SETE:
	case X86_INS_SETGE: case X86_INS_SETG: case X86_INS_SETLE: case X86_INS_SETL: case X86_INS_SETNE:
	case X86_INS_SETNO: case X86_INS_SETNP: case X86_INS_SETNS: case X86_INS_SETO: case X86_INS_SETP:
	case X86_INS_SETS:
	case X86_INS_MOVAPS: case X86_INS_MOVAPD: case X86_INS_MOVUPS: case X86_INS_MOVUPD: case X86_INS_MOVDQA:
	case X86_INS_MOVDQU: case X86_INS_MOVQ: case X86_INS_MOVD: case X86_INS_MOVSS: case X86_INS_MOVSD:
	case X86_INS_MOVLPS: case X86_INS_MOVHPS: case X86_INS_MOVLPD: case X86_INS_MOVHPD: case X86_INS_MOVNTDQ:
	case X86_INS_MOVNTI: case X86_INS_MOVNTPS: case X86_INS_MOVNTPD:
	case X86_INS_VMOVAPS: case X86_INS_VMOVAPD: case X86_INS_VMOVUPS: case X86_INS_VMOVUPD: case X86_INS_VMOVDQA:
	case X86_INS_VMOVDQU: case X86_INS_VMOVDQA32: case X86_INS_VMOVDQA64: case X86_INS_VMOVDQU8:
	case X86_INS_VMOVDQU16: case X86_INS_VMOVDQU32: case X86_INS_VMOVDQU64: case X86_INS_VMOVQ: case X86_INS_VMOVD:
	case X86_INS_VMOVSS: case X86_INS_VMOVSD: case X86_INS_VMOVNTDQ: case X86_INS_VMOVNTPS: case X86_INS_VMOVNTPD:
	case X86_INS_FST: case X86_INS_FSTP: case X86_INS_FIST: case X86_INS_FISTP: case X86_INS_FISTTP:
	case X86_INS_FBSTP: case X86_INS_FNSTCW: case X86_INS_FNSTSW: case X86_INS_FNSTENV: case X86_INS_FNSAVE:
	case X86_INS_STMXCSR: case X86_INS_VSTMXCSR: case X86_INS_FXSAVE: case X86_INS_FXSAVE64: case X86_INS_XSAVE:
	case X86_INS_XSAVE64: case X86_INS_XSAVEC: case X86_INS_XSAVEC64: case X86_INS_XSAVEOPT:
	case X86_INS_XSAVEOPT64: case X86_INS_XSAVES: case X86_INS_XSAVES64:
		return i == 0 ? WRITES : READS;
	default:
		return i == 0 ? READS_AND_WRITES : READS;
	}
}

uint32_t rules_size(unsigned id)
{
	switch (id) {
	case X86_INS_FXSAVE: case X86_INS_FXSAVE64: case X86_INS_FXRSTOR: case X86_INS_FXRSTOR64:
		return 512;
	case X86_INS_XSAVE: case X86_INS_XSAVE64: case X86_INS_XSAVEC: case X86_INS_XSAVEC64: case X86_INS_XSAVEOPT:
	case X86_INS_XSAVEOPT64: case X86_INS_XSAVES: case X86_INS_XSAVES64: case X86_INS_XRSTOR: case X86_INS_XRSTOR64:
	case X86_INS_XRSTORS: case X86_INS_XRSTORS64:
		return XSAVE_LEN;
	case X86_INS_FNSTENV: case X86_INS_FLDENV:
		return 28;
	case X86_INS_FNSAVE: case X86_INS_FRSTOR:
		return 108;
	case X86_INS_FBSTP: case X86_INS_FBLD:
		return 10;
	default:
		return 0;
	}
}

bool rules_is_part_store(unsigned id)
{
	switch (id) {
	case X86_INS_MOVSS: case X86_INS_MOVSD: case X86_INS_MOVD: case X86_INS_MOVQ: case X86_INS_MOVLPS:
	case X86_INS_MOVHPS: case X86_INS_MOVLPD: case X86_INS_MOVHPD: case X86_INS_VMOVSS: case X86_INS_VMOVSD:
	case X86_INS_VMOVD: case X86_INS_VMOVQ: case X86_INS_VMOVLPS: case X86_INS_VMOVHPS: case X86_INS_VMOVLPD:
	case X86_INS_VMOVHPD: case X86_INS_PEXTRB: case X86_INS_PEXTRD: case X86_INS_PEXTRQ: case X86_INS_PEXTRW:
	case X86_INS_EXTRACTPS: case X86_INS_VEXTRACTF128: case X86_INS_VEXTRACTI128:
		return true;
	default:
		return false;
	}
}

bool rules_is_bit_string(unsigned id)
{
	return id == X86_INS_BT || id == X86_INS_BTS || id == X86_INS_BTR || id == X86_INS_BTC;
}

#define BIT(r) (UINT32_C(1) << REG_##r)

uint32_t rules_regs_read(unsigned id)
{
	switch (id) {
	case X86_INS_LEAVE:
		return BIT(RBP);
	case X86_INS_CPUID: case X86_INS_XGETBV:
		return BIT(RAX) | BIT(RCX);
	case X86_INS_SYSCALL:
		return BIT(RAX) | BIT(RDI) | BIT(RSI) | BIT(RDX) | BIT(R10) | BIT(R8) | BIT(R9);
	case X86_INS_STMXCSR: case X86_INS_VSTMXCSR:
		return BIT(MXCSR);
	case X86_INS_FNSTCW:
		return BIT(X87CW);
	default:
		return 0;
	}
}

uint32_t rules_regs_written(unsigned id)
{
	switch (id) {
	case X86_INS_LEAVE: case X86_INS_ENTER:
		return BIT(RSP) | BIT(RBP);
	case X86_INS_SYSCALL:
		return BIT(RAX) | BIT(RCX) | BIT(R11);
	case X86_INS_CPUID:
		return BIT(RAX) | BIT(RBX) | BIT(RCX) | BIT(RDX);
	case X86_INS_RDTSC: case X86_INS_XGETBV:
		return BIT(RAX) | BIT(RDX);
	case X86_INS_RDTSCP:
		return BIT(RAX) | BIT(RDX) | BIT(RCX);
	case X86_INS_LDMXCSR: case X86_INS_VLDMXCSR:
		return BIT(MXCSR);
	case X86_INS_FLDCW: case X86_INS_FNINIT: case X86_INS_FLDENV: case X86_INS_FRSTOR: case X86_INS_FNSAVE:
	case X86_INS_FNSTENV: /* masks all exceptions */
		return BIT(X87CW);
	case X86_INS_FXRSTOR: case X86_INS_FXRSTOR64: case X86_INS_XRSTOR: case X86_INS_XRSTOR64:
	case X86_INS_XRSTORS: case X86_INS_XRSTORS64:
		return BIT(X87CW) | BIT(MXCSR);
	/* Those whose result the library forgets. */
	case X86_INS_PCMPISTRI: case X86_INS_PCMPESTRI: case X86_INS_VPCMPISTRI: case X86_INS_VPCMPESTRI:
		return BIT(RCX) | BIT(EFLAGS);
	case X86_INS_MUL: case X86_INS_DIV: case X86_INS_IDIV: case X86_INS_IMUL:
		return BIT(RAX) | BIT(RDX) | BIT(EFLAGS);
	case X86_INS_CMPXCHG:
		return BIT(RAX) | BIT(EFLAGS);
	case X86_INS_CMPXCHG8B: case X86_INS_CMPXCHG16B:
		return BIT(RAX) | BIT(RDX) | BIT(EFLAGS);
	case X86_INS_LODSB: case X86_INS_LODSW: case X86_INS_LODSD: case X86_INS_LODSQ:
		return BIT(RAX) | BIT(RSI);
	case X86_INS_STOSB: case X86_INS_STOSW: case X86_INS_STOSD: case X86_INS_STOSQ:
		return BIT(RDI);
	case X86_INS_MOVSB: case X86_INS_MOVSW: case X86_INS_MOVSQ:
		return BIT(RDI) | BIT(RSI);
	case X86_INS_SCASB: case X86_INS_SCASW: case X86_INS_SCASD: case X86_INS_SCASQ:
		return BIT(RDI) | BIT(EFLAGS);
	case X86_INS_CMPSB: case X86_INS_CMPSW: case X86_INS_CMPSQ:
		return BIT(RDI) | BIT(RSI) | BIT(EFLAGS);
	case X86_INS_COMISD: case X86_INS_COMISS: case X86_INS_UCOMISD: case X86_INS_UCOMISS: case X86_INS_VCOMISD:
	case X86_INS_VCOMISS: case X86_INS_VUCOMISD: case X86_INS_VUCOMISS: case X86_INS_PTEST: case X86_INS_VPTEST:
	case X86_INS_TZCNT: case X86_INS_LZCNT: case X86_INS_POPCNT: case X86_INS_BLSR: case X86_INS_BLSMSK:
	case X86_INS_BLSI: case X86_INS_ANDN: case X86_INS_BEXTR: case X86_INS_BZHI: case X86_INS_KORTESTB:
	case X86_INS_KORTESTW: case X86_INS_KORTESTD: case X86_INS_KORTESTQ: case X86_INS_XADD: case X86_INS_RDRAND:
	case X86_INS_RDSEED: case X86_INS_FCOMI: case X86_INS_FUCOMI:
	case X86_INS_XTEST:
		return BIT(EFLAGS);
	default:
		return 0;
	}
}

enum reg rules_control_word_read(unsigned id)
{
	switch (id) {
	case X86_INS_STMXCSR: case X86_INS_VSTMXCSR:
		return REG_MXCSR;
	case X86_INS_FNSTCW:
		return REG_X87CW;
	default:
		return REG_NONE;
	}
}

enum reg rules_control_word_written(unsigned id)
{
	switch (id) {
	case X86_INS_LDMXCSR: case X86_INS_VLDMXCSR:
		return REG_MXCSR;
	case X86_INS_FLDCW:
		return REG_X87CW;
	default:
		return REG_NONE;
	}
}

bool rules_is_float(const char *name)
{
	/* Moves and bitwise operations never raise anything, whatever their suffix. */
	static const char *const quiet[] = { "mov", "and", "or", "xor", "shuf", "unpck", "perm", "blend", "insert",
					     "extract", "broadcast", "gather", "scatter", "maskmov", "test" };
	size_t len = name ? strlen(name) : 0;

	if (len < 4)
		return false;
	if (*name == 'v')
		name++, len--;
	for (size_t i = 0; i < sizeof quiet / sizeof *quiet; i++)
		if (strncmp(name, quiet[i], strlen(quiet[i])) == 0)
			return false;
	if (strncmp(name, "cvt", 3) == 0)
		return true;

	const char *end = name + len - 2;

	return (end[0] == 'p' || end[0] == 's') && (end[1] == 's' || end[1] == 'd');
}
