/* How digits and limbs are cut so that every sum is exact in doubles, and the constants that follow. */
#include "ring/kernels/avx2_codec.h"

static uint32_t ceil_log2(uint32_t x) {
    return x <= 1 ? 0 : 32 - (uint32_t)__builtin_clz(x - 1);
}

static uint32_t ceil_div(uint32_t a, uint32_t b) {
    /* Widths, rooms and numbers of parts are at least one. NOLINTNEXTLINE(clang-analyzer-core.DivideZero) */
    return (a + b - 1) / b;
}

static uint32_t bits_max(const msfl_codec *codec) {
    uint32_t bits = 0;
    for (uint32_t i = 0; i < codec->n_moduli; i++)
        bits = codec->moduli[i].m.bits > bits ? codec->moduli[i].m.bits : bits;
    return bits;
}

static void plan_encoding(const msfl_codec *codec, codec_tables *t) {
    uint32_t b = codec->value_bits, w = codec->slot_bits;
    t->joined = b < DIGIT_BITS ? 1 + (DIGIT_BITS - b) / w : 1;
    if (t->joined > codec->slots) t->joined = codec->slots;
    t->digits = ceil_div(codec->slots, t->joined);
    uint32_t digit_bits = (t->joined - 1) * w + b;
    t->direct = 1;
    while (t->direct < t->digits && t->direct * t->joined * w + digit_bits <= DIRECT_BITS)
        t->direct++;
    if (digit_bits < NOISE_BITS) digit_bits = NOISE_BITS;
    uint32_t room = 52 - digit_bits - ceil_log2(t->digits - t->direct + 1);
    t->parts = ceil_div(bits_max(codec), room);
    t->part_bits = ceil_div(bits_max(codec), t->parts);
    t->part_step = ldexp(1.0, (int)t->part_bits);
    assert(t->parts <= PARTS_MAX && t->digits < DIGITS_MAX && codec->slots <= SLOTS_MAX);
}

/* As many slots in one limb as fit, or a slot cut into limbs; the number of parts of y that costs the fewest products.
 */
static void plan_lifting(const msfl_codec *codec, codec_tables *t) {
    uint32_t w = codec->slot_bits, best = UINT32_MAX;
    assert(w <= 51);
    for (uint32_t parts = 2; parts <= PARTS_MAX; parts++) {
        /* y is at most 1.44 p; products of at most 2^y_bits 2^limb_bits each; alpha and the carry are one more. */
        uint32_t y_bits = ceil_div(bits_max(codec) + 1, parts);
        uint32_t room = 52 - y_bits - ceil_log2(codec->n_moduli * parts + 2);
        uint32_t grouped = room / w < codec->slots ? room / w : codec->slots;
        uint32_t split = grouped > 0 ? 1 : ceil_div(w, room);
        uint32_t limbs = grouped > 0 ? ceil_div(codec->slots, grouped) : codec->slots * split;
        if (limbs * parts >= best) continue;
        best = limbs * parts;
        t->y_parts = parts;
        t->y_bits = y_bits;
        t->limbs = limbs;
        t->slots_per_limb = grouped;
        t->limbs_per_slot = split;
        t->limb_bits = grouped > 0 ? grouped * w : ceil_div(w, split);
    }
    t->terms = codec->n_moduli * t->y_parts + 1;
    t->limbs_padded = UINT32_MAX;
    for (uint32_t step = STEP_MAX; step >= STEP_MIN; step--) {
        uint32_t padded = ceil_div(t->limbs, step) * step;
        if (padded >= t->limbs_padded) continue;
        t->limbs_padded = padded;
        t->step = step;
    }
    assert(best != UINT32_MAX && t->limbs_padded <= LIMBS_MAX && t->terms <= TERMS_MAX);
}

static uint32_t bits_of_limb(const msfl_codec *codec, const codec_tables *t, uint32_t limb) {
    if (t->slots_per_limb > 0) {
        uint32_t left = codec->slots - limb * t->slots_per_limb;
        return (left < t->slots_per_limb ? left : t->slots_per_limb) * codec->slot_bits;
    }
    bool top = limb % t->limbs_per_slot == t->limbs_per_slot - 1;
    return top ? codec->slot_bits - (t->limbs_per_slot - 1) * t->limb_bits : t->limb_bits;
}

size_t msfl_avx2_codec_table_bytes(const msfl_codec *codec) {
    codec_tables t;
    plan_encoding(codec, &t);
    plan_lifting(codec, &t);
    size_t weights = (size_t)codec->n_moduli * (t.digits - t.direct + 1) * t.parts;
    return sizeof t + (weights + (size_t)t.limbs_padded * (t.terms + 2)) * sizeof(double);
}

/* 2^-scale_bits x, to 53 bits. */
static double wide_scaled(const msfl_wide *x, int scale_bits) {
    uint32_t bits = msfl_wide_bits(x), shift = bits > 53 ? bits - 53 : 0;
    return ldexp((double)msfl_wide_field(x, shift, 53), (int)shift - scale_bits);
}

void msfl_avx2_codec_tables(msfl_codec *codec) {
    codec_tables *t = codec->tables;
    plan_encoding(codec, t);
    plan_lifting(codec, t);
    t->weights = t->storage;
    t->constants = t->weights + (size_t)codec->n_moduli * (t->digits - t->direct + 1) * t->parts;
    t->up = t->constants + (size_t)t->limbs_padded * t->terms;
    t->down = t->up + t->limbs_padded;
    double *weight = t->weights;
    for (uint32_t i = 0; i < codec->n_moduli; i++) {
        for (uint32_t d = t->direct; d <= t->digits; d++) {
            uint32_t slot = d < t->digits ? d * t->joined : codec->slots;
            uint64_t w = codec->weights[(size_t)i * (codec->slots + 1) + slot];
            for (uint32_t k = 0; k < t->parts; k++, w >>= t->part_bits)
                *weight++ = (double)(w & (((uint64_t)1 << t->part_bits) - 1));
        }
    }
    uint32_t at = 0;
    for (uint32_t limb = 0; limb < t->limbs; limb++) {
        uint32_t bits = bits_of_limb(codec, t, limb);
        t->up[limb] = ldexp(1.0, (int)bits);
        t->down[limb] = ldexp(1.0, -(int)bits);
        double *c = t->constants + (size_t)(limb / t->step) * t->terms * t->step + limb % t->step;
        for (uint32_t i = 0; i < codec->n_moduli; i++) {
            msfl_wide x = codec->cofactor[i];
            for (uint32_t k = 0; k < t->y_parts; k++, c += t->step) {
                *c = (double)msfl_wide_field(&x, at, bits);
                x = msfl_wide_mul_add(&x, (uint64_t)1 << t->y_bits, 0);
            }
        }
        *c = (double)msfl_wide_field(&codec->q, at, bits);
        at += bits;
    }
    assert(at == codec->log_t);
    t->q_over_t = wide_scaled(&codec->q, (int)codec->log_t);
    t->t_over_2q = 0.5 / t->q_over_t;
}
