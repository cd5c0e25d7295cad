/* msfl-bench-ckks: values per second through the ckks scheme on one core, beside memcpy and AES on the same machine in
 * the same run.
 *
 *   msfl-bench-ckks [--clients N] [--bits B] [--seconds S] [--json]
 *
 * Every figure is the best of the repetitions that fit into --seconds, so that a neighbour on the machine costs little.
 * A million values a second (mvps) are counted over whole chunks: encryption from integers or doubles to bytes on the
 * wire, with encoding; adding to a sum one ciphertext that was read from its bytes, with reading; opening from the
 * ciphertext to integers or doubles, with decoding. Products, rescalings and rotations are counted in microseconds. */
#include "base/clock.h"
#include "base/mem.h"
#include "base/sodium.h"
#include "medsecurefl/ckks.h"
#include "ring/aes.h"
#include "ring/embed.h"
#include "text/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct job {
    msfl_ckks *ctx;
    msfl_ckks_secret *secret;
    msfl_ckks_public *public;
    msfl_ckks_relin *relin;
    msfl_ckks_galois *galois;
    msfl_ckks_plain *plain;
    msfl_ckks_ct *ct, *other, *sum, *fresh;
    uint32_t n_values, addends_max;
    uint32_t *values;
    uint64_t *totals;
    double *numbers, *opened;
    uint8_t *bytes;
    size_t length;
} job;

static double seconds_since(uint64_t start_ns) {
    return (double)(msfl_now_ns() - start_ns) * 1e-9;
}

/* --- steps --- */

static msfl_status sums_seeded(job *b) {
    msfl_status status = msfl_ckks_sums_encrypt_seeded(b->ctx, b->secret, 0, b->values, b->n_values, b->ct);
    if (status == MSFL_OK) msfl_ckks_ct_write(b->ctx, b->ct, b->bytes);
    return status;
}

static msfl_status sums_public(job *b) {
    msfl_status status = msfl_ckks_sums_encrypt(b->ctx, b->public, 0, b->values, b->n_values, b->ct);
    if (status == MSFL_OK) msfl_ckks_ct_write(b->ctx, b->ct, b->bytes);
    return status;
}

static msfl_status sums_open(job *b) {
    return msfl_ckks_sums_decrypt(b->ctx, b->secret, b->sum, b->totals);
}

static msfl_status numbers_seeded(job *b) {
    const msfl_ckks_encoding how = {.magnitude = 8, .step = 0x1p-11};
    msfl_status status = msfl_ckks_encode(b->ctx, b->numbers, NULL, b->n_values, &how, b->plain);
    if (status == MSFL_OK) status = msfl_ckks_encrypt_seeded(b->ctx, b->secret, 0, b->plain, b->ct);
    if (status == MSFL_OK) msfl_ckks_ct_write(b->ctx, b->ct, b->bytes);
    return status;
}

static msfl_status numbers_public(job *b) {
    const msfl_ckks_encoding how = {.magnitude = 8, .step = 0x1p-11};
    msfl_status status = msfl_ckks_encode(b->ctx, b->numbers, NULL, b->n_values, &how, b->plain);
    if (status == MSFL_OK) status = msfl_ckks_encrypt(b->ctx, b->public, 0, b->plain, b->ct);
    if (status == MSFL_OK) msfl_ckks_ct_write(b->ctx, b->ct, b->bytes);
    return status;
}

static msfl_status numbers_open(job *b) {
    return msfl_ckks_decrypt_exact(b->ctx, b->secret, b->sum, b->opened, NULL);
}

static msfl_status add(job *b) {
    msfl_status status = msfl_ckks_ct_read(b->ctx, b->bytes, b->length, b->other);
    if (status == MSFL_OK && msfl_ckks_ct_addends(b->sum) == b->addends_max)
        msfl_ckks_ct_copy(b->ctx, b->sum, b->fresh);
    return status == MSFL_OK ? msfl_ckks_add(b->ctx, b->sum, b->other) : status;
}

static msfl_status multiply(job *b) {
    msfl_ckks_ct_copy(b->ctx, b->other, b->fresh);
    return msfl_ckks_multiply(b->ctx, b->relin, b->other, b->fresh);
}

static msfl_status rescale(job *b) {
    msfl_ckks_ct_copy(b->ctx, b->other, b->fresh);
    return msfl_ckks_rescale(b->ctx, b->other);
}

static msfl_status rotate(job *b) {
    msfl_ckks_ct_copy(b->ctx, b->other, b->fresh);
    return msfl_ckks_rotate(b->ctx, b->galois, b->other, 1);
}

/** Best time of one call. */
static msfl_status best_of(job *b, msfl_status (*step)(job *), double seconds, double *best) {
    uint64_t begun = msfl_now_ns();
    *best = 1e9;
    do {
        uint64_t start = msfl_now_ns();
        msfl_status status = step(b);
        double took = seconds_since(start);
        if (status != MSFL_OK) return status;
        if (took < *best) *best = took;
    } while (seconds_since(begun) < seconds);
    return MSFL_OK;
}

/* --- sets --- */

static void job_clear(job *b) {
    msfl_ckks_ct_free(b->ct);
    msfl_ckks_ct_free(b->other);
    msfl_ckks_ct_free(b->sum);
    msfl_ckks_ct_free(b->fresh);
    msfl_ckks_plain_free(b->plain);
    msfl_ckks_galois_free(b->galois);
    msfl_ckks_relin_free(b->relin);
    msfl_ckks_public_free(b->public);
    msfl_ckks_secret_free(b->secret);
    msfl_ckks_free(b->ctx);
    msfl_free(b->values);
    msfl_free(b->totals);
    msfl_free(b->numbers);
    msfl_free(b->opened);
    msfl_free(b->bytes);
}

static msfl_status job_init(job *b, const msfl_ckks_params *p) {
    memset(b, 0, sizeof *b);
    msfl_status status = msfl_ckks_new(p, &b->ctx);
    if (status == MSFL_OK) status = msfl_ckks_secret_new(b->ctx, &b->secret);
    if (status == MSFL_OK) status = msfl_ckks_public_new(b->ctx, b->secret, &b->public);
    if (status == MSFL_OK) status = msfl_ckks_plain_new(b->ctx, &b->plain);
    if (status == MSFL_OK) status = msfl_ckks_ct_new(b->ctx, &b->ct);
    if (status == MSFL_OK) status = msfl_ckks_ct_new(b->ctx, &b->other);
    if (status == MSFL_OK) status = msfl_ckks_ct_new(b->ctx, &b->sum);
    if (status == MSFL_OK) status = msfl_ckks_ct_new(b->ctx, &b->fresh);
    if (status != MSFL_OK) return status;
    b->n_values = p->value_bits != 0 ? p->ring_degree : p->ring_degree / 2;
    b->addends_max = p->n_addends;
    b->values = msfl_alloc(b->n_values, sizeof *b->values);
    b->totals = msfl_alloc(b->n_values, sizeof *b->totals);
    b->numbers = msfl_alloc(b->n_values, sizeof *b->numbers);
    b->opened = msfl_alloc(b->n_values, sizeof *b->opened);
    b->bytes = msfl_alloc(msfl_ckks_ct_bytes_max(b->ctx), 1);
    if (b->values == NULL || b->totals == NULL || b->numbers == NULL || b->opened == NULL || b->bytes == NULL) {
        return MSFL_ERR_MEMORY;
    }
    uint32_t mask = p->value_bits != 0 ? (uint32_t)(((uint64_t)1 << p->value_bits) - 1) : 0xffff;
    for (uint32_t i = 0; i < b->n_values; i++) {
        b->values[i] = (i * 2654435761u) >> 7 & mask;
        b->numbers[i] = (b->values[i] & 0x3fff) * 0x1p-11 - 4; /* like weights, clipped at 8 */
    }
    return MSFL_OK;
}

static double rate(const job *b, double seconds) {
    return b->n_values / seconds * 1e-6;
}

static json_t *real(double x) {
    return msfl_json_real(x);
}

/** Encrypt, add and open with the given steps; prints, or adds to `results`. */
static msfl_status measure(const char *name, const msfl_ckks_params *p, bool products, double seconds, bool json,
                           json_t *results) {
    job b;
    double seeded, public, add_s, add_p, open = 0, product = 0, down = 0, turn = 0;
    bool sums = p->value_bits != 0;
    msfl_status status = job_init(&b, p);
    size_t seeded_bytes = 0, full_bytes = 0;
    double share = seconds / (products ? 8 : 5);
    if (status == MSFL_OK) status = best_of(&b, sums ? sums_seeded : numbers_seeded, share, &seeded);
    if (status != MSFL_OK) goto done;
    seeded_bytes = b.length = msfl_ckks_ct_bytes(b.ctx, b.ct);
    msfl_ckks_ct_copy(b.ctx, b.fresh, b.ct);
    status = best_of(&b, add, share, &add_s);
    if (status != MSFL_OK) goto done;
    status = best_of(&b, sums ? sums_public : numbers_public, share, &public);
    if (status != MSFL_OK) goto done;
    full_bytes = b.length = msfl_ckks_ct_bytes(b.ctx, b.ct);
    msfl_ckks_ct_copy(b.ctx, b.fresh, b.ct);
    msfl_ckks_ct_copy(b.ctx, b.sum, b.ct);
    status = best_of(&b, add, share, &add_p);
    if (status == MSFL_OK) status = best_of(&b, sums ? sums_open : numbers_open, share, &open);
    if (status != MSFL_OK) goto done;
    double addends = msfl_ckks_ct_addends(b.sum);
    for (uint32_t i = 0; i < b.n_values; i++) {
        if (sums ? (double)b.totals[i] == addends * b.values[i] : b.opened[i] == addends * b.numbers[i]) continue;
        fprintf(stderr, "msfl-bench-ckks: wrong sum\n");
        status = MSFL_ERR_CRYPTO;
        goto done;
    }
    if (products) {
        const uint32_t one = 1;
        status = msfl_ckks_relin_new(b.ctx, b.secret, &b.relin);
        if (status == MSFL_OK) status = msfl_ckks_galois_new(b.ctx, b.secret, &one, 1, &b.galois);
        if (status == MSFL_OK) status = best_of(&b, multiply, share, &product);
        if (status == MSFL_OK) status = best_of(&b, rescale, share, &down);
        if (status == MSFL_OK) status = best_of(&b, rotate, share, &turn);
        if (status != MSFL_OK) goto done;
    }
    double per = b.n_values;
    if (json) {
        json_array_append_new(
            results, json_pack("{s:s,s:s,s:i,s:i,s:i,s:i,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "scheme", "ckks",
                               "set", name, "clients", (int)p->n_addends, "bits", (int)p->value_bits, "ring_degree",
                               (int)p->ring_degree, "primes", (int)p->n_primes, "encrypt_seeded_mvps",
                               real(rate(&b, seeded)), "encrypt_public_mvps", real(rate(&b, public)), "add_seeded_mvps",
                               real(rate(&b, add_s)), "add_public_mvps", real(rate(&b, add_p)), "open_mvps",
                               real(rate(&b, open)), "seeded_bytes_per_value", real((double)seeded_bytes / per),
                               "public_bytes_per_value", real((double)full_bytes / per), "multiply_us",
                               real(product * 1e6), "rescale_us", real(down * 1e6), "rotate_us", real(turn * 1e6)));
    } else {
        printf("%-8s N %5u x %2u primes  encrypt seeded %6.1f public %6.1f  add seeded %6.1f public %6.1f  open %6.1f "
               "Mvalues/s  %.2f / %.2f B/value",
               name, p->ring_degree, p->n_primes, rate(&b, seeded), rate(&b, public), rate(&b, add_s), rate(&b, add_p),
               rate(&b, open), (double)seeded_bytes / per, (double)full_bytes / per);
        if (products) printf("  multiply %.0f rescale %.0f rotate %.0f us", product * 1e6, down * 1e6, turn * 1e6);
        printf("\n");
        fflush(stdout);
    }
done:
    job_clear(&b);
    return status;
}

/* --- limits of the machine --- */

/** Bytes copied per second, between buffers that no cache holds. */
static double memcpy_gbps(void) {
    const size_t size = (size_t)128 << 20;
    uint8_t *a = msfl_alloc(size, 1), *b = msfl_alloc(size, 1);
    double best = 1e9;
    for (int i = 0; a != NULL && b != NULL && i < 10; i++) {
        a[i] = (uint8_t)i;
        uint64_t start = msfl_now_ns();
        memcpy(b, a, size);
        double took = seconds_since(start);
        if (took < best && b[i] == (uint8_t)i) best = took;
    }
    msfl_free(a);
    msfl_free(b);
    return (double)size / best * 1e-9;
}

/** AES-128 in counter mode as the public polynomials are drawn from, 8 KiB at a time. */
static double aes_ctr_gbps(void) {
    enum { SIZE = 8192, TIMES = 4096 };
    static uint8_t buffer[SIZE];
    const uint8_t key[16] = {1}, iv[MSFL_AES_BLOCK] = {0};
    msfl_aes *aes;
    double best = 1e9;
    if (msfl_aes_new(NULL, &aes) != MSFL_OK) return 0;
    for (int turn = 0; turn < 5; turn++) {
        uint64_t start = msfl_now_ns();
        if (msfl_aes_start(aes, key, sizeof key, iv) != MSFL_OK) break;
        for (int i = 0; i < TIMES; i++) {
            if (msfl_aes_read(aes, buffer, SIZE) != MSFL_OK) break;
        }
        double took = seconds_since(start);
        if (took < best) best = took;
    }
    msfl_aes_free(aes);
    return (double)SIZE * TIMES / best * 1e-9;
}

int main(int argc, char **argv) {
    uint32_t clients = 10, bits = 16;
    double seconds = 2;
    bool json = false, good = true;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0) {
            json = true;
            continue;
        }
        double v = i + 1 < argc ? strtod(argv[i + 1], NULL) : -1;
        good &= v >= 0 && v < 1e6;
        if (strcmp(argv[i], "--clients") == 0) {
            clients = good ? (uint32_t)v : 0;
        } else if (strcmp(argv[i], "--bits") == 0) {
            bits = good ? (uint32_t)v : 0;
        } else if (strcmp(argv[i], "--seconds") == 0) {
            seconds = v;
        } else {
            good = false;
        }
        i++;
    }
    if (!good) {
        fprintf(stderr, "usage: msfl-bench-ckks [--clients N] [--bits B] [--seconds S] [--json]\n");
        return 2;
    }
    msfl_status status = msfl_crypto_init();
    double copy = memcpy_gbps(), aes = aes_ctr_gbps();
    json_t *results = json_array();
    static const uint32_t degrees[] = {0, 4096, 8192};
    for (size_t i = 0; status == MSFL_OK && i < sizeof degrees / sizeof degrees[0]; i++) {
        msfl_ckks_sums_request r = {
            .n_addends = clients, .value_bits = bits, .n_values = 1000000, .ring_degree = degrees[i]};
        msfl_ckks_params p;
        status = msfl_ckks_plan_sums(&r, &p);
        if (status == MSFL_OK) status = measure("sums", &p, false, seconds, json, results);
    }
    /* Numbers, as in the usual set of three primes and one multiplication; and additions alone. */
    for (uint32_t depth = 0; status == MSFL_OK && depth < 2; depth++) {
        msfl_ckks_request r = {.depth = depth,
                               .scale_bits = 40,
                               .n_slots = 4096,
                               .n_addends = clients,
                               .value_max = depth == 0 ? 8 : 64,
                               .ring_degree = 8192};
        msfl_ckks_params p;
        status = msfl_ckks_plan(&r, &p);
        if (status == MSFL_OK) status = measure("numbers", &p, depth > 0, seconds, json, results);
    }
    const char *kernel = msfl_embed_choose()->name;
    if (status == MSFL_OK && json) {
        json_t *all = json_pack("{s:O,s:o,s:o,s:s}", "results", results, "memcpy_gbps", real(copy), "aes_ctr_gbps",
                                real(aes), "embedding", kernel);
        char *text = NULL;
        status = msfl_json_text(all, false, &text);
        if (status == MSFL_OK) printf("%s\n", text);
        msfl_free(text);
        json_decref(all);
    } else if (status == MSFL_OK) {
        printf("embedding %s; memcpy %.2f GB/s, AES-128-CTR %.2f GB/s\n", kernel, copy, aes);
    }
    json_decref(results);
    if (status != MSFL_OK) fprintf(stderr, "msfl-bench-ckks: %s\n", msfl_error_message());
    return msfl_status_exit_code(status);
}
