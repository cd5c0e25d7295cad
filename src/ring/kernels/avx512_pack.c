/* Packed residues, eight at a time: k bits each, k bytes together.
 *
 * Residue i starts at bit k i, so in byte floor(k i / 8) with 0 to 7 bits below it, and ends within the eight bytes
 * from there (7 + 50 bits). Reading, the bytes of each are brought to its lane. Writing, two neighbours may meet inside
 * one byte but, k being at least 8, not two of every second: even and odd lanes are gathered apart and joined. Loads
 * and stores are masked to the bytes that a group has, so nothing beyond a string's end is touched, and the last group,
 * which may be of fewer than eight, is like the others. */
#include "ring/bits.h"
#include "ring/kernels/avx512.h"

#include <string.h>

void msfl_avx512_packing_init(msfl_avx512_packing *k, uint32_t width) {
    assert(width >= 8 && width <= MSFL_PRIME_BITS_MAX);
    memset(k, 0, sizeof *k);
    for (uint32_t lane = 0; lane < MSFL_LANES512; lane++) {
        uint32_t start = lane * width / 8, end = ((lane + 1) * width + 7) / 8;
        k->shift[lane] = lane * width % 8;
        for (uint32_t i = 0; i < 8; i++)
            k->spread[8 * lane + i] = (uint8_t)(start + i);
        for (uint32_t i = start; i < end; i++) {
            k->gather[lane % 2][i] = (uint8_t)(8 * lane + i - start);
            k->gathered[lane % 2] |= (uint64_t)1 << i;
        }
    }
}

enum { AHEAD = 2048 }; /* bytes that are asked for before they are needed */

/** The packing in registers. */
typedef struct packer {
    v8i spread, gather[2], shift, mask;
    __mmask64 gathered[2], bytes; /* bytes: those of a whole group */
    uint32_t width;
} packer;

MSFL_INLINE512 packer packer_of(const msfl_modulus *m) {
    const msfl_avx512_packing *k = &msfl_avx512_tables_of(m)->packing;
    return (packer){
        .spread = _mm512_load_si512(k->spread),
        .gather = {_mm512_load_si512(k->gather[0]), _mm512_load_si512(k->gather[1])},
        .shift = _mm512_load_si512(k->shift),
        .mask = all8(msfl_bits_mask(m->m.bits)),
        .gathered = {k->gathered[0], k->gathered[1]},
        .bytes = msfl_bits_mask(m->m.bits),
        .width = m->m.bits,
    };
}

/** The residues of a group that has `bytes` bytes; lanes that are not there hold padding. */
MSFL_INLINE512 v8i get(const packer *k, const uint8_t *in, __mmask64 bytes) {
    v8i r = _mm512_permutexvar_epi8(k->spread, _mm512_maskz_loadu_epi8(bytes, in));
    return _mm512_and_si512(_mm512_srlv_epi64(r, k->shift), k->mask);
}

MSFL_INLINE512 void put(const packer *k, uint8_t *out, __mmask64 bytes, v8i r) {
    r = _mm512_sllv_epi64(r, k->shift);
    v8i even = _mm512_maskz_permutexvar_epi8(k->gathered[0], k->gather[0], r);
    v8i odd = _mm512_maskz_permutexvar_epi8(k->gathered[1], k->gather[1], r);
    _mm512_mask_storeu_epi8(out, bytes, _mm512_or_si512(even, odd));
}

/** What a last group of `count` < 8 residues has: lanes and bytes. */
typedef struct short_group {
    __mmask8 lanes;
    __mmask64 bytes;
} short_group;

static short_group short_group_of(const packer *k, size_t count) {
    return (short_group){(__mmask8)((1u << count) - 1), ((uint64_t)1 << (count * k->width + 7) / 8) - 1};
}

void msfl_avx512_add_pack(const msfl_modulus *m, uint8_t *out, const msfl_cell *x, const msfl_cell *y, size_t n) {
    lanes_prime lanes = lanes_of(msfl_avx512_tables_of(m));
    packer k = packer_of(m);
    size_t i = 0;
    for (; i + MSFL_LANES512 <= n; i += MSFL_LANES512, out += k.width) {
        v8i sum = _mm512_add_epi64(_mm512_loadu_si512(x + i), _mm512_loadu_si512(y + i));
        put(&k, out, k.bytes, canonical8(sum, lanes));
    }
    if (i < n) {
        short_group last = short_group_of(&k, n - i);
        v8i a = _mm512_maskz_loadu_epi64(last.lanes, x + i), b = _mm512_maskz_loadu_epi64(last.lanes, y + i);
        put(&k, out, last.bytes, canonical8(_mm512_add_epi64(a, b), lanes));
    }
}

bool msfl_avx512_check(const msfl_modulus *m, const uint8_t *bytes, size_t n) {
    packer k = packer_of(m);
    v8i p = all8(m->m.p);
    uint32_t good = 0xff;
    size_t i = 0;
    for (; i + MSFL_LANES512 <= n; i += MSFL_LANES512, bytes += k.width)
        good &= _mm512_cmplt_epu64_mask(get(&k, bytes, k.bytes), p);
    if (i < n) {
        short_group last = short_group_of(&k, n - i);
        v8i r = get(&k, bytes, last.bytes);
        good &= _mm512_cmplt_epu64_mask(r, _mm512_maskz_mov_epi64(last.lanes, p)) | (uint8_t)~last.lanes;
        good &= _mm512_testn_epi64_mask(r, r) | last.lanes; /* the padding is zero */
    }
    return good == 0xff;
}

/* sum + r - p < 2^bits fits its place even if r is not below p, because the sum is.
 * The next group of the sum is loaded before this one is stored: a masked store is taken to write all 64 bytes, and a
 * load from any of them waits for it. Prefetching goes past the ends of pages, where the processor's own does not: for
 * sums that no cache holds it is worth a quarter. */
bool msfl_avx512_fold(const msfl_modulus *m, uint8_t *sum, const uint8_t *bytes, size_t n) {
    packer k = packer_of(m);
    v8i p = all8(m->m.p);
    uint32_t good = 0xff;
    size_t i = 0;
    v8i next = n >= MSFL_LANES512 ? get(&k, sum, k.bytes) : p;
    for (; i + MSFL_LANES512 <= n; i += MSFL_LANES512, bytes += k.width, sum += k.width) {
        _mm_prefetch((const char *)bytes + AHEAD, _MM_HINT_T0);
        _mm_prefetch((const char *)sum + AHEAD, _MM_HINT_T0);
        v8i r = get(&k, bytes, k.bytes), s = _mm512_add_epi64(next, r);
        good &= _mm512_cmplt_epu64_mask(r, p);
        if (i + 2 * MSFL_LANES512 <= n) next = get(&k, sum + k.width, k.bytes); /* see above */
        put(&k, sum, k.bytes, _mm512_min_epu64(s, _mm512_sub_epi64(s, p)));
    }
    if (i < n) {
        short_group last = short_group_of(&k, n - i);
        v8i r = get(&k, bytes, last.bytes);
        good &= _mm512_cmplt_epu64_mask(r, p) | (uint8_t)~last.lanes;
        good &= _mm512_testn_epi64_mask(r, r) | last.lanes;
        v8i s = _mm512_maskz_add_epi64(last.lanes, get(&k, sum, last.bytes), r);
        put(&k, sum, last.bytes, _mm512_min_epu64(s, _mm512_sub_epi64(s, p)));
    }
    return good == 0xff;
}

/* Rare, and on bytes alone, so the generic one serves. */
void msfl_avx512_unfold(const msfl_modulus *m, uint8_t *sum, const uint8_t *bytes, size_t n) {
    msfl_kernel_generic.unfold(m, sum, bytes, n);
}

/** (c - x) w. Any x, reduced to 2 p; c + 2 p - x < 3 p. */
MSFL_INLINE512 v8i difference8(v8i c, v8i x, v8i w, v8i v, v8i p2, lanes_prime m) {
    v8i d = _mm512_sub_epi64(_mm512_add_epi64(c, p2), _mm512_and_si512(reduce8(x, m), m.mask));
    expect8(d, 3, m);
    return once8(scale8(d, w, v, m), m);
}

void msfl_avx512_subtract_from(const msfl_modulus *m, msfl_cell *x, const uint8_t *bytes, uint64_t factor, size_t n) {
    lanes_prime lanes = lanes_of(msfl_avx512_tables_of(m));
    packer k = packer_of(m);
    msfl_factor f = msfl_factor_of(factor, m->m.p);
    v8i w = all8(f.w), v = all8(f.v), p2 = all8(2 * m->m.p);
    size_t i = 0;
    for (; i + MSFL_LANES512 <= n; i += MSFL_LANES512, bytes += k.width) {
        v8i c = get(&k, bytes, k.bytes);
        _mm512_storeu_si512(x + i, difference8(c, _mm512_loadu_si512(x + i), w, v, p2, lanes));
    }
    if (i < n) {
        short_group last = short_group_of(&k, n - i);
        v8i c = get(&k, bytes, last.bytes), a = _mm512_maskz_loadu_epi64(last.lanes, x + i);
        _mm512_mask_storeu_epi64(x + i, last.lanes, difference8(c, a, w, v, p2, lanes));
    }
}
