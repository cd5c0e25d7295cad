/* The portable table: 64-bit integers, every cell canonical (0 <= x < p) at all times. The other tables are held to it
 * by the tests, so it is written to be seen through rather than to be fast. */
#include "base/bytes.h"
#include "base/sodium.h"
#include "ring/bits.h"
#include "ring/kernel.h"

#include <assert.h>

static bool always(void) {
    return true;
}

/* --- tables --- */

/** A root, and its quotient for `msfl_mod_scale`. */
typedef struct root {
    uint64_t w, quotient;
} root;

/* N roots, then N inverse roots. */
static size_t modulus_table_bytes(uint32_t degree) {
    return 2 * (size_t)degree * sizeof(root);
}

static void modulus_tables(msfl_modulus *m, const uint64_t *roots, const uint64_t *inverse_roots) {
    root *t = m->tables;
    for (size_t i = 0; i < m->degree; i++) {
        t[i] = (root){roots[i], msfl_mod_quotient(roots[i], m->m.p)};
        t[m->degree + i] = (root){inverse_roots[i], msfl_mod_quotient(inverse_roots[i], m->m.p)};
    }
}

static size_t codec_table_bytes(const msfl_codec *codec) {
    (void)codec;
    return 0;
}

static void codec_tables(msfl_codec *codec) {
    (void)codec;
}

/* --- residues --- */

static void import(const msfl_modulus *m, msfl_cell *x, const uint64_t *residues, size_t n) {
    (void)m;
    for (size_t i = 0; i < n; i++)
        x[i].u = residues[i];
}

static void export(const msfl_modulus *m, uint64_t *residues, const msfl_cell *x, size_t n) {
    (void)m;
    for (size_t i = 0; i < n; i++)
        residues[i] = x[i].u;
}

static void import_signed(const msfl_modulus *m, msfl_cell *x, const int32_t *s, size_t n) {
    for (size_t i = 0; i < n; i++)
        x[i].u = msfl_mod_signed(s[i], m->m.p);
}

/* Cooley-Tukey: x^2h - r^2 splits into x^h - r and x^h + r, over and over. */
static void forward(const msfl_modulus *m, msfl_cell *x) {
    const root *roots = m->tables;
    uint64_t p = m->m.p;
    for (size_t blocks = 1, half = m->degree / 2; half >= 1; blocks *= 2, half /= 2) {
        for (size_t b = 0; b < blocks; b++) {
            msfl_cell *u = x + 2 * half * b, *v = u + half;
            root w = roots[blocks + b];
            for (size_t i = 0; i < half; i++) {
                uint64_t r = msfl_mod_scale(v[i].u, w.w, w.quotient, p);
                v[i].u = msfl_mod_sub(u[i].u, r, p);
                u[i].u = msfl_mod_add(u[i].u, r, p);
            }
        }
    }
}

/* Gentleman-Sande: the same steps undone in reverse, each leaving a factor 2. */
static void inverse(const msfl_modulus *m, msfl_cell *x) {
    const root *roots = (const root *)m->tables + m->degree;
    uint64_t p = m->m.p;
    for (size_t blocks = m->degree / 2, half = 1; blocks >= 1; blocks /= 2, half *= 2) {
        for (size_t b = 0; b < blocks; b++) {
            msfl_cell *u = x + 2 * half * b, *v = u + half;
            root w = roots[blocks + b];
            for (size_t i = 0; i < half; i++) {
                uint64_t d = msfl_mod_sub(u[i].u, v[i].u, p);
                u[i].u = msfl_mod_add(u[i].u, v[i].u, p);
                v[i].u = msfl_mod_scale(d, w.w, w.quotient, p);
            }
        }
    }
}

static void prepare(const msfl_modulus *m, msfl_cell *x) {
    uint64_t n_inverse = msfl_mod_inverse_vartime(msfl_mod_64(m->degree, &m->m), &m->m);
    for (size_t i = 0; i < m->degree; i++)
        x[i].u = msfl_mod_mul(x[i].u, n_inverse, &m->m);
}

static void multiply(const msfl_modulus *m, msfl_cell *x, const msfl_cell *y, size_t n) {
    for (size_t i = 0; i < n; i++)
        x[i].u = msfl_mod_mul(x[i].u, y[i].u, &m->m);
}

/* --- sampling --- */

static size_t uniform(const msfl_modulus *m, msfl_cell *x, const uint8_t *bytes, size_t n) {
    uint32_t width = (m->m.bits + 7) / 8;
    uint64_t mask = msfl_bits_mask(m->m.bits);
    size_t kept = 0;
    for (size_t i = 0; i < n; i++, bytes += width) {
        uint64_t candidate = 0;
        for (uint32_t k = width; k-- > 0;)
            candidate = candidate << 8 | bytes[k];
        candidate &= mask;
        x[kept].u = candidate;
        kept += candidate < m->m.p;
    }
    return kept;
}

/** Ones in each byte, by masks: a call to a library could branch on them. */
static uint64_t ones_of_bytes(uint64_t x) {
    const uint64_t pairs = 0x5555555555555555, fours = 0x3333333333333333, eights = 0x0f0f0f0f0f0f0f0f;
    x = (x & pairs) + (x >> 1 & pairs);
    x = (x & fours) + (x >> 2 & fours);
    return (x & eights) + (x >> 4 & eights);
}

/* Eight samples at a time, one in each byte of a word: at most 200, so that nothing carries into the next. */
static void binomial(int8_t *out, const uint8_t *bytes, uint32_t bits, size_t n) {
    assert(n % MSFL_NOISE_BLOCK == 0 && bits % 2 == 0 && bits <= 200);
    uint32_t planes = (bits + 7) / 8;
    uint64_t last = (((uint64_t)1 << (bits - 8 * (planes - 1))) - 1) * 0x0101010101010101;
    for (size_t block = 0; block < n; block += MSFL_NOISE_BLOCK, bytes += planes * MSFL_NOISE_BLOCK) {
        for (uint32_t l = 0; l < MSFL_NOISE_BLOCK; l += 8) {
            uint64_t ones = 0;
            for (uint32_t k = 0; k < planes; k++) {
                uint64_t word = msfl_load64(bytes + k * MSFL_NOISE_BLOCK + l);
                ones += ones_of_bytes(k + 1 < planes ? word : word & last);
            }
            for (uint32_t i = 0; i < 8; i++)
                out[block + l + i] = (int8_t)((int)(ones >> 8 * i & 0xff) - (int)bits / 2);
        }
    }
}

/* --- chunks --- */

static uint32_t encode(const msfl_codec *codec, uint32_t first, uint32_t count, const uint32_t *slots,
                       msfl_chunk_shape shape, const int8_t *noise, msfl_cell *out, size_t stride) {
    uint32_t seen = 0;
    for (uint32_t k = 0; k < count; k++) {
        const msfl_modulus *m = &codec->moduli[first + k];
        const uint64_t *weight = codec->weights + (size_t)(first + k) * (codec->slots + 1);
        msfl_cell *plane = out + k * stride;
        for (size_t c = 0; c < shape.n_coefficients; c++) {
            /* A plaintext is below 2^800 and a slot has 2 bits or more: at most 400 products, each below 2^32 2^50. */
            msfl_u128 sum = 0;
            for (size_t j = 0, i = c; j < codec->slots && i < shape.n_slots; j++, i += shape.n_coefficients) {
                seen |= slots[i];
                sum += (msfl_u128)slots[i] * weight[j];
            }
            assert(sum >> 91 == 0);
            uint64_t e = msfl_mod_signed(noise[c], m->m.p);
            plane[c].u = msfl_mod_add(msfl_mod_128(sum, &m->m), msfl_mod_mul(e, weight[codec->slots], &m->m), m->m.p);
        }
    }
    return seen;
}

static size_t group_at(size_t done, size_t n) {
    return n - done < MSFL_GROUP ? n - done : MSFL_GROUP;
}

static void add_pack(const msfl_modulus *m, uint8_t *out, const msfl_cell *x, const msfl_cell *y, size_t n) {
    for (size_t i = 0; i < n; i += MSFL_GROUP, out += m->m.bits) {
        uint64_t r[MSFL_GROUP];
        size_t count = group_at(i, n);
        for (size_t k = 0; k < count; k++)
            r[k] = msfl_mod_add(x[i + k].u, y[i + k].u, m->m.p);
        msfl_bits_put(out, m->m.bits, count, r);
    }
}

static bool check(const msfl_modulus *m, const uint8_t *bytes, size_t n) {
    bool good = true;
    for (size_t i = 0; i < n; i += MSFL_GROUP, bytes += m->m.bits) {
        uint64_t r[MSFL_GROUP];
        size_t count = group_at(i, n);
        good &= msfl_bits_get(bytes, m->m.bits, count, r);
        for (size_t k = 0; k < count; k++)
            good &= r[k] < m->m.p;
    }
    return good;
}

static bool fold(const msfl_modulus *m, uint8_t *sum, const uint8_t *bytes, size_t n) {
    bool good = true;
    for (size_t i = 0; i < n; i += MSFL_GROUP, bytes += m->m.bits, sum += m->m.bits) {
        uint64_t s[MSFL_GROUP], r[MSFL_GROUP];
        size_t count = group_at(i, n);
        (void)msfl_bits_get(sum, m->m.bits, count, s);
        good &= msfl_bits_get(bytes, m->m.bits, count, r);
        for (size_t k = 0; k < count; k++) {
            good &= r[k] < m->m.p;
            /* s < p and r < 2^bits: s + r - p < 2^bits fits its place even if r is not below p. */
            s[k] = msfl_mod_once(s[k] + r[k], m->m.p);
        }
        msfl_bits_put(sum, m->m.bits, count, s);
    }
    return good;
}

/* With s' = s + r, less p if that was p or more: s' - r is s or s - p, and s < p tells which. */
static void unfold(const msfl_modulus *m, uint8_t *sum, const uint8_t *bytes, size_t n) {
    for (size_t i = 0; i < n; i += MSFL_GROUP, bytes += m->m.bits, sum += m->m.bits) {
        uint64_t s[MSFL_GROUP], r[MSFL_GROUP];
        size_t count = group_at(i, n);
        (void)msfl_bits_get(sum, m->m.bits, count, s);
        (void)msfl_bits_get(bytes, m->m.bits, count, r);
        for (size_t k = 0; k < count; k++) {
            uint64_t d = s[k] - r[k]; /* r < 2^bits may be p or more, so this is no msfl_mod_sub */
            s[k] = d + (m->m.p & (0 - (d >> 63)));
        }
        msfl_bits_put(sum, m->m.bits, count, s);
    }
}

static void subtract_from(const msfl_modulus *m, msfl_cell *x, const uint8_t *bytes, uint64_t factor, size_t n) {
    for (size_t i = 0; i < n; i += MSFL_GROUP, bytes += m->m.bits) {
        uint64_t r[MSFL_GROUP];
        size_t count = group_at(i, n);
        (void)msfl_bits_get(bytes, m->m.bits, count, r);
        for (size_t k = 0; k < count; k++)
            x[i + k].u = msfl_mod_mul(msfl_mod_sub(r[k], x[i + k].u, m->m.p), factor, &m->m);
    }
}

/* Bits [at, at + width) of a string of words, width <= 64; the word after the last is zero. */
static uint64_t field(const uint64_t *words, uint32_t at, uint32_t width) {
    uint32_t shift = at % 64;
    uint64_t v = words[at / 64] >> shift;
    if (shift + width > 64) v |= words[at / 64 + 1] << (64 - shift);
    return width == 64 ? v : v & msfl_bits_mask(width);
}

/* The Chinese remainder theorem in plain sight: z = t noise_max + sum_i x_i q / p_i, reduced modulo q, is
 * t (E + noise_max) + m, so m is its low log_t bits and E + noise_max the rest. */
static bool lift(const msfl_codec *codec, const msfl_cell *x, size_t stride, msfl_chunk_shape shape, uint32_t noise_max,
                 uint64_t total_max, uint64_t *totals) {
    bool good = true;
    /* z < (n_moduli + 1) q, so five more bits than q hold it. */
    uint32_t words = (msfl_wide_bits(&codec->q) + 5 + 63) / 64;
    uint64_t start[MSFL_WIDE_WORDS + 1] = {0};
    uint32_t word = codec->log_t / 64, shift = codec->log_t % 64;
    start[word] = (uint64_t)noise_max << shift;
    if (shift > 0) start[word + 1] = (uint64_t)noise_max >> (64 - shift);
    uint64_t z[MSFL_WIDE_WORDS + 1], d[MSFL_WIDE_WORDS];
    for (size_t c = 0; c < shape.n_coefficients; c++) {
        memcpy(z, start, sizeof z);
        for (uint32_t i = 0; i < codec->n_moduli; i++) {
            uint64_t carry = 0, y = x[i * stride + c].u;
            for (uint32_t k = 0; k < words; k++) {
                msfl_u128 sum = (msfl_u128)y * codec->cofactor[i].word[k] + z[k] + carry;
                z[k] = (uint64_t)sum;
                carry = (uint64_t)(sum >> 64);
            }
        }
        /* z < (n_moduli + 1) q: so many times q is taken off, or not by a mask. What opens may be a secret of the key
         * holder's. */
        uint64_t borrow = 0;
        for (uint32_t tries = 0; tries <= codec->n_moduli; tries++) {
            borrow = 0;
            for (uint32_t k = 0; k < words; k++) {
                msfl_u128 difference = (msfl_u128)z[k] - codec->q.word[k] - borrow;
                d[k] = (uint64_t)difference;
                borrow = (uint64_t)(difference >> 64) & 1;
            }
            for (uint32_t k = 0; k < words; k++)
                z[k] = (z[k] & (0 - borrow)) | (d[k] & (borrow - 1));
        }
        assert(borrow == 1); /* before the last try it was below q already */
        uint32_t rest = words * 64 - codec->log_t;
        uint64_t noise = field(z, codec->log_t, rest < 64 ? rest : 64);
        uint64_t above = 0;
        for (uint32_t k = codec->log_t + 64; k < words * 64; k += 64)
            above |= field(z, k, words * 64 - k < 64 ? words * 64 - k : 64);
        good &= (above == 0) & (noise <= 2 * (uint64_t)noise_max);
        for (uint32_t j = 0; j < codec->slots; j++) {
            uint64_t total = field(z, j * codec->slot_bits, codec->slot_bits);
            size_t i = j * shape.n_coefficients + c;
            good &= total <= (i < shape.n_slots ? total_max : 0);
            if (i < shape.n_slots) totals[i] = total;
        }
    }
    msfl_wipe(z, sizeof z);
    msfl_wipe(d, sizeof d);
    return good;
}

const msfl_kernel msfl_kernel_generic = {
    .name = "generic",
    .supported = always,
    .modulus_table_bytes = modulus_table_bytes,
    .modulus_tables = modulus_tables,
    .codec_table_bytes = codec_table_bytes,
    .codec_tables = codec_tables,
    .import = import,
    .export = export,
    .import_signed = import_signed,
    .forward = forward,
    .inverse = inverse,
    .prepare = prepare,
    .multiply = multiply,
    .uniform = uniform,
    .binomial = binomial,
    .encode = encode,
    .add_pack = add_pack,
    .check = check,
    .fold = fold,
    .unfold = unfold,
    .subtract_from = subtract_from,
    .lift = lift,
};
