/* Packed residues, eight at a time: k bits each, k bytes together.
 *
 * A group is four pairs. Pair j starts at bit 2 k j, so in byte at[j] = floor(2 k j / 8) and 0 to 7 bits above its
 * beginning; both its residues lie within 16 bytes from there (7 + 2 x 50 bits), each within 8 (7 + 50). Reading, every
 * pair is loaded and its bytes spread to two lanes. Writing, the residues are shifted to their bit and their bytes
 * gathered; where two pairs meet inside a byte, the earlier one hands that byte on, and pairs are stored in order, so
 * that the later store wins. A group is therefore read and written up to 64 bytes from its beginning: the last groups
 * of a string go through bits.h. */
#include "ring/bits.h"
#include "ring/kernels/avx2.h"

enum {
    REACH = 64,
    AHEAD = 2048 /* bytes that `fold` asks for before it needs them: the processor's own prefetch stops at pages */
};

void msfl_avx2_packing_init(msfl_avx2_packing *k, uint32_t width) {
    for (uint32_t pair = 0; pair < 4; pair++) {
        uint32_t vector = pair / 2, half = pair % 2 * 16;
        uint8_t *spread = k->spread[vector] + half, *gather = k->gather[vector] + half;
        uint8_t *shared = k->shared[vector] + half;
        uint32_t start = 2 * width * pair;
        k->at[pair] = start / 8;
        uint32_t odd = (start + width) / 8 - start / 8, next = (start + 2 * width) / 8 - start / 8;
        k->shift[vector][pair % 2 * 2] = start % 8;
        k->shift[vector][pair % 2 * 2 + 1] = (start + width) % 8;
        for (uint8_t i = 0; i < 8; i++) {
            spread[i] = i;
            spread[8 + i] = (uint8_t)(odd + i);
        }
        for (uint32_t i = 0; i < 16; i++) {
            gather[i] = i >= odd && i < odd + 8 ? (uint8_t)(8 + i - odd) : 0x80;
            shared[i] = 0x80;
        }
        if ((start + 2 * width) % 8 != 0 && pair < 3) shared[0] = (uint8_t)next;
    }
}

typedef struct group {
    v4i low, high; /* residues 0 to 3 and 4 to 7 */
} group;

/** The packing in registers. */
typedef struct packer {
    v4i spread[2], gather[2], shared[2], shift[2], mask, even;
    uint32_t at1, at2, at3, width;
} packer;

static inline packer packer_of(const msfl_avx2_packing *k, uint32_t width) {
    packer r;
    for (int i = 0; i < 2; i++) {
        r.spread[i] = _mm256_load_si256((const v4i *)k->spread[i]);
        r.gather[i] = _mm256_load_si256((const v4i *)k->gather[i]);
        r.shared[i] = _mm256_load_si256((const v4i *)k->shared[i]);
        r.shift[i] = _mm256_load_si256((const v4i *)k->shift[i]);
    }
    r.mask = _mm256_set1_epi64x((long long)msfl_bits_mask(width));
    r.even = _mm256_set_epi64x(0, -1, 0, -1);
    r.at1 = k->at[1];
    r.at2 = k->at[2];
    r.at3 = k->at[3];
    r.width = width;
    return r;
}

static inline v4i load_pairs(const uint8_t *a, const uint8_t *b) {
    __m128i x = _mm_loadu_si128((const __m128i *)a);
    return _mm256_inserti128_si256(_mm256_castsi128_si256(x), _mm_loadu_si128((const __m128i *)b), 1);
}

/** Reads up to REACH bytes. */
static inline group get(const packer *k, const uint8_t *in) {
    v4i low = _mm256_shuffle_epi8(load_pairs(in, in + k->at1), k->spread[0]);
    v4i high = _mm256_shuffle_epi8(load_pairs(in + k->at2, in + k->at3), k->spread[1]);
    return (group){_mm256_and_si256(_mm256_srlv_epi64(low, k->shift[0]), k->mask),
                   _mm256_and_si256(_mm256_srlv_epi64(high, k->shift[1]), k->mask)};
}

static inline v4i join(v4i x, v4i shift, v4i even, v4i gather) {
    x = _mm256_sllv_epi64(x, shift);
    return _mm256_or_si256(_mm256_and_si256(x, even), _mm256_shuffle_epi8(x, gather));
}

/** Writes up to REACH bytes; those beyond the group's `width` become zero. */
static inline void put(const packer *k, uint8_t *out, group g) {
    v4i low = join(g.low, k->shift[0], k->even, k->gather[0]);
    v4i high = join(g.high, k->shift[1], k->even, k->gather[1]);
    v4i low_shared = _mm256_shuffle_epi8(low, k->shared[0]), high_shared = _mm256_shuffle_epi8(high, k->shared[1]);
    low = _mm256_or_si256(low, _mm256_permute2x128_si256(low_shared, low_shared, 0x08));
    high = _mm256_or_si256(high, _mm256_permute2x128_si256(low_shared, high_shared, 0x21));
    _mm_storeu_si128((__m128i *)out, _mm256_castsi256_si128(low));
    _mm_storeu_si128((__m128i *)(out + k->at1), _mm256_extracti128_si256(low, 1));
    _mm_storeu_si128((__m128i *)(out + k->at2), _mm256_castsi256_si128(high));
    _mm_storeu_si128((__m128i *)(out + k->at3), _mm256_extracti128_si256(high, 1));
}

/** Whole groups that have REACH bytes from their beginning, of a string of n residues. */
static inline size_t fast_groups(size_t n, uint32_t width) {
    size_t bytes = (n * width + 7) / 8;
    if (bytes < REACH) return 0;
    size_t groups = (bytes - REACH) / width + 1;
    return groups < n / MSFL_GROUP ? groups : n / MSFL_GROUP;
}

static inline size_t group_at(size_t done, size_t n) {
    return n - done < MSFL_GROUP ? n - done : MSFL_GROUP;
}

void msfl_avx2_add_pack(const msfl_modulus *m, uint8_t *out, const msfl_cell *x, const msfl_cell *y, size_t n) {
    const msfl_avx2_tables *t = msfl_avx2_tables_of(m);
    lanes_modulus lanes = lanes_of(t);
    packer k = packer_of(&t->packing, m->m.bits);
    size_t fast = fast_groups(n, m->m.bits);
    for (size_t i = 0; i < fast; i++, out += k.width, x += MSFL_GROUP, y += MSFL_GROUP) {
        v4d low = _mm256_add_pd(_mm256_loadu_pd(&x->d), _mm256_loadu_pd(&y->d));
        v4d high = _mm256_add_pd(_mm256_loadu_pd(&x[4].d), _mm256_loadu_pd(&y[4].d));
        expect4(low, HUGE_VAL, lanes);
        expect4(high, HUGE_VAL, lanes);
        put(&k, out, (group){to_integer4(canonical4(low, lanes)), to_integer4(canonical4(high, lanes))});
    }
    for (size_t i = fast * MSFL_GROUP; i < n; i += MSFL_GROUP, out += k.width, x += MSFL_GROUP, y += MSFL_GROUP) {
        _Alignas(32) uint64_t r[MSFL_GROUP];
        size_t count = group_at(i, n);
        for (size_t l = 0; l < count; l++) {
            v4d v = canonical4(_mm256_set1_pd(x[l].d + y[l].d), lanes);
            r[l] = (uint64_t)_mm256_extract_epi64(to_integer4(v), 0);
        }
        msfl_bits_put(out, k.width, count, r);
    }
}

bool msfl_avx2_check(const msfl_modulus *m, const uint8_t *bytes, size_t n) {
    packer k = packer_of(&msfl_avx2_tables_of(m)->packing, m->m.bits);
    size_t fast = fast_groups(n, m->m.bits);
    v4i top = _mm256_set1_epi64x((long long)m->m.p - 1), bad = _mm256_setzero_si256();
    for (size_t i = 0; i < fast; i++, bytes += k.width) {
        group r = get(&k, bytes);
        bad = _mm256_or_si256(bad, _mm256_sub_epi64(top, r.low));
        bad = _mm256_or_si256(bad, _mm256_sub_epi64(top, r.high));
    }
    /* A difference below zero set a sign bit. */
    bool good = _mm256_movemask_pd(_mm256_castsi256_pd(bad)) == 0;
    return good & msfl_kernel_generic.check(m, bytes, n - fast * MSFL_GROUP);
}

/** s + r - p if that is not negative, else s + r. */
static inline v4i add_mod(v4i s, v4i r, v4i p) {
    v4i sum = _mm256_add_epi64(s, r), less = _mm256_sub_epi64(sum, p);
    return _mm256_castpd_si256(
        _mm256_blendv_pd(_mm256_castsi256_pd(less), _mm256_castsi256_pd(sum), _mm256_castsi256_pd(less)));
}

bool msfl_avx2_fold(const msfl_modulus *m, uint8_t *sum, const uint8_t *bytes, size_t n) {
    packer k = packer_of(&msfl_avx2_tables_of(m)->packing, m->m.bits);
    size_t fast = fast_groups(n, m->m.bits);
    v4i p = _mm256_set1_epi64x((long long)m->m.p), top = _mm256_set1_epi64x((long long)m->m.p - 1);
    v4i bad = _mm256_setzero_si256();
    group s = {bad, bad};
    if (fast > 0) s = get(&k, sum);
    for (size_t i = 0; i < fast; i++, bytes += k.width, sum += k.width) {
        _mm_prefetch((const char *)bytes + AHEAD, _MM_HINT_T0);
        _mm_prefetch((const char *)sum + AHEAD, _MM_HINT_T0);
        group r = get(&k, bytes);
        bad = _mm256_or_si256(bad, _mm256_sub_epi64(top, r.low));
        bad = _mm256_or_si256(bad, _mm256_sub_epi64(top, r.high));
        group total = {add_mod(s.low, r.low, p), add_mod(s.high, r.high, p)};
        if (i + 1 < fast) {
            s = get(&k, sum + k.width); /* before `put` runs over its beginning */
            put(&k, sum, total);
        } else {
            uint8_t last[REACH];
            put(&k, last, total);
            memcpy(sum, last, k.width);
        }
    }
    bool good = _mm256_movemask_pd(_mm256_castsi256_pd(bad)) == 0;
    return good & msfl_kernel_generic.fold(m, sum, bytes, n - fast * MSFL_GROUP);
}

/* x <= 4 p on entry; c - x at most 5 p, so 1.44 p on return. */
void msfl_avx2_subtract_from(const msfl_modulus *m, msfl_cell *x, const uint8_t *bytes, uint64_t factor, size_t n) {
    const msfl_avx2_tables *t = msfl_avx2_tables_of(m);
    lanes_modulus lanes = lanes_of(t);
    packer k = packer_of(&t->packing, m->m.bits);
    size_t fast = fast_groups(n, m->m.bits);
    v4d w = _mm256_set1_pd(centred(factor, m->m.p));
    for (size_t i = 0; i < fast; i++, bytes += k.width, x += MSFL_GROUP) {
        group r = get(&k, bytes);
        v4d low = _mm256_sub_pd(to_double4(r.low), _mm256_loadu_pd(&x->d));
        v4d high = _mm256_sub_pd(to_double4(r.high), _mm256_loadu_pd(&x[4].d));
        expect4(low, 5.0, lanes);
        expect4(high, 5.0, lanes);
        _mm256_storeu_pd(&x->d, multiply_large4(low, w, lanes));
        _mm256_storeu_pd(&x[4].d, multiply_large4(high, w, lanes));
    }
    for (size_t i = fast * MSFL_GROUP; i < n; i += MSFL_GROUP, bytes += k.width, x += MSFL_GROUP) {
        uint64_t r[MSFL_GROUP];
        size_t count = group_at(i, n);
        (void)msfl_bits_get(bytes, k.width, count, r);
        for (size_t l = 0; l < count; l++)
            x[l].d = _mm256_cvtsd_f64(multiply_large4(_mm256_set1_pd((double)(int64_t)r[l] - x[l].d), w, lanes));
    }
}
