/* The tables of the codec in doubles: made by avx2_plan.c, read by avx2_codec.c, which says what they are for. */
#ifndef MSFL_RING_AVX2_CODEC_H
#define MSFL_RING_AVX2_CODEC_H

#include "ring/kernels/avx2.h"

enum {
    DIGIT_BITS = 24,
    DIRECT_BITS = 50,
    NOISE_BITS = 8,  /* |e| <= 100 */
    SLOTS_MAX = 400, /* log2 t < 800 and slots of two bits at least */
    DIGITS_MAX = 64, /* digits of one slot are of 13 bits at least; the noise is one more */
    PARTS_MAX = 4,
    WIDE = 16, /* coefficients that are encoded or lifted together */
    VECTORS = WIDE / MSFL_LANES,
    LIMBS_MAX = 128,
    STEP_MIN = 2,
    STEP_MAX = 3, /* limbs that are summed together: as many as there are registers for */
    FRACTION_LIMBS = 3,
    TERMS_MAX = MSFL_MODULI_MAX * PARTS_MAX + 1
};

typedef struct codec_tables {
    /* encoding */
    uint32_t joined; /* slots per digit */
    uint32_t direct; /* lowest digits that are added as they are */
    uint32_t digits; /* all, but for the noise, which is digit number `digits` */
    uint32_t parts, part_bits;
    double *weights;  /* [modulus][digit - direct][part] */
    double part_step; /* 2^part_bits */
    /* lifting */
    uint32_t limbs, step, limbs_padded; /* padded to a multiple of `step` */
    uint32_t slots_per_limb;            /* or 0, and then: */
    uint32_t limbs_per_slot;            /* each but the highest of `limb_bits` bits */
    uint32_t limb_bits;
    uint32_t y_parts, y_bits;
    uint32_t terms;    /* moduli x y_parts, and one for alpha */
    double *constants; /* [limb / step][term][limb % step] */
    double *up, *down; /* [limb]: 2^bits, 2^-bits of each */
    double t_over_2q, q_over_t;
    _Alignas(64) double storage[];
} codec_tables;

#endif
