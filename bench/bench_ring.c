/* msfl-bench-ring: microseconds that each function of each instruction set table takes on one chunk.
 *
 *   msfl-bench-ring [--json] [bits of a prime] [primes] [N] [bits of a value] [bits of a slot]        (48 4 8192 16 20)
 *
 * The best of many repetitions; all that is touched stays in the second-level cache. */
#include "base/clock.h"
#include "base/mem.h"
#include "base/sodium.h"
#include "ring/aes.h"
#include "ring/modulus.h"
#include "ring/prime.h"
#include "ring/uniform.h"
#include "text/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REPETITIONS = 500, AES_BYTES = 8192, AES_TIMES = 24 };

typedef struct job {
    const msfl_kernel *kernel;
    msfl_modulus moduli[MSFL_MODULI_MAX];
    msfl_codec codec;
    uint32_t n_moduli, degree, value_bits;
    msfl_chunk_shape shape;
    msfl_aes *aes;
    msfl_stream *stream;
    uint64_t *residues, *totals;
    msfl_cell *x, *y, *planes;
    int8_t *noise;
    uint32_t *slots;
    uint8_t *bytes, *sum;
    json_t *results; /* NULL: printed */
} job;

static const uint8_t key[32] = {1}, iv[MSFL_AES_BLOCK];

/* One function each; a job's `x` is made canonical again by `import` where it was not. */
static void aes_stream(job *b, size_t key_bytes) {
    if (msfl_aes_start(b->aes, key, key_bytes, iv) != MSFL_OK) abort();
    for (int i = 0; i < AES_TIMES; i++) {
        if (msfl_aes_read(b->aes, b->stream->bytes, AES_BYTES) != MSFL_OK) abort();
    }
}
static void aes_128(job *b) {
    aes_stream(b, 16);
}
static void aes_256(job *b) {
    aes_stream(b, 32);
}
static void noise(job *b) {
    if (msfl_aes_start(b->aes, key, 32, iv) != MSFL_OK) abort();
    if (msfl_expand_noise(b->kernel, b->aes, b->stream, 162, b->degree, b->noise) != MSFL_OK) abort();
}
static void expand(job *b) {
    if (msfl_aes_start(b->aes, key, 16, iv) != MSFL_OK) abort();
    if (msfl_expand(&b->moduli[0], b->aes, b->stream, b->y, b->x) != MSFL_OK) abort();
}
static void inverse(job *b) {
    b->kernel->inverse(&b->moduli[0], b->x);
}
static void forward(job *b) {
    b->kernel->forward(&b->moduli[0], b->x);
}
static void import(job *b) {
    b->kernel->import(&b->moduli[0], b->x, b->residues, b->degree);
}
static void encode(job *b) {
    (void)b->kernel->encode(&b->codec, 0, b->n_moduli, b->slots, b->shape, b->noise, b->planes, b->degree);
}
static void add_pack(job *b) {
    b->kernel->add_pack(&b->moduli[0], b->bytes, b->x, b->y, b->degree);
}
static void fold(job *b) {
    (void)b->kernel->fold(&b->moduli[0], b->sum, b->bytes, b->degree);
}
static void subtract(job *b) {
    b->kernel->subtract_from(&b->moduli[0], b->x, b->bytes, 12345, b->degree);
}
static void lift(job *b) {
    (void)b->kernel->lift(&b->codec, b->planes, b->degree, b->shape, 100, UINT32_MAX, b->totals);
}

/** `before` is not timed. */
static void show(job *b, const char *what, void (*before)(job *b), void (*run)(job *b)) {
    uint64_t best = UINT64_MAX;
    for (int i = 0; i < REPETITIONS; i++) {
        if (before != NULL) before(b);
        uint64_t start = msfl_now_ns();
        run(b);
        uint64_t took = msfl_now_ns() - start;
        if (took < best) best = took;
    }
    if (b->results == NULL) {
        printf("  %-40s %8.2f\n", what, (double)best * 1e-3);
    } else {
        json_array_append_new(b->results, json_pack("{s:s,s:s,s:o}", "kernel", b->kernel->name, "function", what,
                                                    "microseconds", msfl_json_real((double)best * 1e-3)));
    }
}

static msfl_status setup(job *b, uint32_t prime_bits, uint32_t slot_bits) {
    size_t n = b->degree, n_slots = n * ((prime_bits * b->n_moduli - 10) / slot_bits);
    b->shape = (msfl_chunk_shape){n_slots, n};
    b->stream = msfl_alloc(1, sizeof *b->stream);
    b->residues = msfl_alloc(n, sizeof *b->residues);
    b->totals = msfl_alloc(n_slots, sizeof *b->totals);
    b->x = msfl_alloc(n, sizeof *b->x);
    b->y = msfl_alloc(n, sizeof *b->y);
    b->planes = msfl_alloc(n * b->n_moduli, sizeof *b->planes);
    b->noise = msfl_alloc(n, 1);
    b->slots = msfl_alloc(n_slots, sizeof *b->slots);
    b->bytes = msfl_alloc(n, 8);
    b->sum = msfl_alloc(n, 8);
    if (b->stream == NULL || b->residues == NULL || b->totals == NULL || b->x == NULL || b->y == NULL ||
        b->planes == NULL || b->noise == NULL || b->slots == NULL || b->bytes == NULL || b->sum == NULL) {
        return MSFL_ERR_MEMORY;
    }
    uint64_t p = (uint64_t)1 << prime_bits;
    for (uint32_t i = 0; i < b->n_moduli; i++) {
        p = msfl_prime_below(p, 2, b->degree);
        msfl_status status = msfl_modulus_init(&b->moduli[i], b->kernel, p, b->degree);
        if (status != MSFL_OK) return status;
    }
    for (size_t i = 0; i < n; i++)
        b->residues[i] = i * 0x9e3779b97f4a7c15u % b->moduli[0].m.p;
    b->kernel->import(&b->moduli[0], b->y, b->residues, n);
    msfl_status status =
        msfl_codec_init(&b->codec, b->moduli, b->n_moduli, b->value_bits, slot_bits, (uint32_t)(n_slots / n));
    return status == MSFL_OK ? msfl_aes_new(b->kernel, &b->aes) : status;
}

static void clear(job *b) {
    msfl_codec_clear(&b->codec);
    for (uint32_t i = 0; i < b->n_moduli; i++)
        msfl_modulus_clear(&b->moduli[i]);
    msfl_aes_free(b->aes);
    void *all[] = {b->stream, b->residues, b->totals, b->x, b->y, b->planes, b->noise, b->slots, b->bytes, b->sum};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        msfl_free(all[i]);
}

int main(int argc, char **argv) {
    uint32_t n[5] = {48, 4, 8192, 16, 20};
    json_t *results = NULL;
    for (int i = 1, at = 0; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0) {
            if (results == NULL) results = json_array();
        } else if (at < 5) {
            n[at++] = (uint32_t)strtoul(argv[i], NULL, 10);
        }
    }
    if (n[0] < 24 || n[0] > MSFL_PRIME_BITS_MAX || n[1] < 1 || n[1] > MSFL_MODULI_MAX || n[2] < 64 || n[2] > 32768 ||
        (n[2] & (n[2] - 1)) != 0 || n[3] < 2 || n[3] > 32 || n[4] < n[3] || n[4] > 51 || n[0] * n[1] < n[4] + 10 ||
        msfl_crypto_init() != MSFL_OK) {
        fprintf(stderr,
                "usage: msfl-bench-ring [--json] [bits of a prime] [primes] [N] [bits of a value] [bits of a slot]\n");
        return 2;
    }
    for (const msfl_kernel *const *k = msfl_kernels(); *k != NULL; k++) {
        if (!(*k)->supported()) continue;
        job b = {.kernel = *k, .n_moduli = n[1], .degree = n[2], .value_bits = n[3], .results = results};
        msfl_status status = setup(&b, n[0], n[4]);
        if (status == MSFL_OK) {
            if (results == NULL) {
                printf("%s: N = %u, %u primes of %u bits, %u slots of %u bits; microseconds\n", (*k)->name, b.degree,
                       b.n_moduli, n[0], b.codec.slots, n[4]);
            }
            show(&b, "AES-128, 192 KiB", NULL, aes_128);
            show(&b, "AES-256, 192 KiB", NULL, aes_256);
            show(&b, "noise", NULL, noise);
            show(&b, "one public polynomial, times the key", NULL, expand);
            show(&b, "one inverse transform", expand, inverse);
            show(&b, "one forward transform", import, forward);
            show(&b, "encoding", NULL, encode);
            show(&b, "adding and packing one polynomial", import, add_pack);
            show(&b, "folding one polynomial", NULL, fold);
            show(&b, "subtracting one polynomial", import, subtract);
            memset(b.planes, 0, (size_t)b.degree * b.n_moduli * sizeof *b.planes);
            show(&b, "lifting", NULL, lift);
        }
        clear(&b);
        if (status != MSFL_OK) return msfl_status_exit_code(status);
    }
    if (results != NULL) {
        char *text = NULL;
        if (msfl_json_text(results, false, &text) == MSFL_OK) printf("%s\n", text);
        msfl_free(text);
        json_decref(results);
    }
    return 0;
}
