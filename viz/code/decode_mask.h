/* SPDX-License-Identifier: MIT */
/*
 * decode_mask — instructions with AVX-512's mask registers, that capstone 4 cannot decode.
 *
 * Part:    source; used by decode only. libc's functions on strings are full of them.
 */
#ifndef VIZ_DECODE_MASK_H
#define VIZ_DECODE_MASK_H

#include "decode.h"

/* False: none of these. @insn is all zero before. */
bool decode_mask(const uint8_t *code, size_t len, struct insn *insn);

#endif
