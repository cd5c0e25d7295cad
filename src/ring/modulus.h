/* Making and freeing of moduli and codecs. */
#ifndef MSFL_RING_MODULUS_H
#define MSFL_RING_MODULUS_H

#include "ring/kernel.h"

/** Tables for the prime `p` = 1 mod 2 `degree`, which the caller has proved. `degree` is a power of two, 64 to 32768;
 * the generic table takes any from 2 on, for tests that try every element. */
msfl_status msfl_modulus_init(msfl_modulus *m, const msfl_kernel *kernel, uint64_t p, uint32_t degree) MSFL_NODISCARD;
void msfl_modulus_clear(msfl_modulus *m);

/** `moduli` is borrowed. Requires value_bits <= 32, value_bits <= slot_bits <= 64 and distinct primes. */
msfl_status msfl_codec_init(msfl_codec *codec, const msfl_modulus *moduli, uint32_t n_moduli, uint32_t value_bits,
                            uint32_t slot_bits, uint32_t slots) MSFL_NODISCARD;
void msfl_codec_clear(msfl_codec *codec);

/** Bytes of n residues packed to the width of the modulus. */
static inline size_t msfl_packed_bytes(const msfl_modulus *m, size_t n) {
    return (n * m->m.bits + 7) / 8;
}

#endif
