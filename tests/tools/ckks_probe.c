/* layer: he
 *
 * Keys and ciphertexts of the ckks scheme left in a folder, for a script that opens them by itself, and the other way.
 *
 *   ckks_probe sums N BITS VALUES FOLDER   writes secret, public; N times values.I (u32) and ct.I, the even ones with
 *                                          the public key and the odd ones seeded; sum, totals (u64)
 *   ckks_probe numbers FOLDER              writes secret, public, relin, galois (by 1 and by 5); re, im (f64), ct.0 of
 *                                          them and ct.1 seeded; product (ct.0 times ct.1, rescaled), turned (ct.1 by
 * 6) ckks_probe open SECRET CT OUT          opens a ciphertext of numbers exactly: real, then imaginary parts (f64)
 */
#include "base/file.h"
#include "base/mem.h"
#include "base/seeded.h"
#include "base/sodium.h"
#include "he/ckks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Noreturn void stop(const char *what) {
    fprintf(stderr, "ckks_probe: %s: %s\n", what, msfl_error_message());
    exit(1);
}
#define TRY(call)                                                                                                      \
    do {                                                                                                               \
        if ((call) != MSFL_OK) stop(#call);                                                                            \
    } while (0)

static const char *folder;

static void leave(const char *name, const void *bytes, size_t length) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    TRY(msfl_file_write(path, bytes, length));
}

static void leave_ct(const msfl_ckks *ctx, const char *name, const msfl_ckks_ct *ct) {
    size_t length = msfl_ckks_ct_bytes(ctx, ct);
    uint8_t *bytes = msfl_alloc(length, 1);
    msfl_ckks_ct_write(ctx, ct, bytes);
    leave(name, bytes, length);
    msfl_free(bytes);
}

static void leave_keys(const msfl_ckks *ctx, const msfl_ckks_secret *secret, const msfl_ckks_public *public) {
    uint8_t bytes[1024];
    msfl_ckks_secret_write(ctx, secret, bytes);
    leave("secret", bytes, msfl_ckks_secret_bytes(ctx));
    size_t length = msfl_ckks_public_bytes(ctx);
    uint8_t *more = msfl_alloc(length, 1);
    msfl_ckks_public_write(ctx, public, more);
    leave("public", more, length);
    msfl_free(more);
}

static void sums(uint32_t n, uint32_t bits, uint32_t n_values) {
    msfl_ckks_sums_request r = {.n_addends = n, .value_bits = bits, .n_values = n_values};
    msfl_ckks_params p;
    msfl_ckks *ctx;
    msfl_ckks_secret *secret;
    msfl_ckks_public *public;
    msfl_ckks_ct *ct, *sum;
    TRY(msfl_ckks_plan_sums(&r, &p));
    TRY(msfl_ckks_new(&p, &ctx));
    TRY(msfl_ckks_secret_new(ctx, &secret));
    TRY(msfl_ckks_public_new(ctx, secret, &public));
    TRY(msfl_ckks_ct_new(ctx, &ct));
    TRY(msfl_ckks_ct_new(ctx, &sum));
    leave_keys(ctx, secret, public);
    if (n_values > p.ring_degree) stop("too many values for one chunk");
    uint32_t *values = msfl_alloc(n_values, sizeof *values);
    uint64_t *totals = msfl_alloc(n_values, sizeof *totals);
    for (uint32_t i = 0; i < n; i++) {
        char name[32];
        msfl_seeded g;
        msfl_seeded_init(&g, 1, "probe", i, 0, 0);
        for (uint32_t k = 0; k < n_values; k++)
            values[k] = (uint32_t)msfl_seeded_below(&g, (uint64_t)1 << bits);
        snprintf(name, sizeof name, "values.%u", i);
        leave(name, values, n_values * sizeof *values);
        TRY(i % 2 == 0 ? msfl_ckks_sums_encrypt(ctx, public, 3, values, n_values, ct)
                       : msfl_ckks_sums_encrypt_seeded(ctx, secret, 3, values, n_values, ct));
        snprintf(name, sizeof name, "ct.%u", i);
        leave_ct(ctx, name, ct);
        TRY(msfl_ckks_add(ctx, sum, ct));
    }
    leave_ct(ctx, "sum", sum);
    TRY(msfl_ckks_sums_decrypt(ctx, secret, sum, totals));
    leave("totals", totals, n_values * sizeof *totals);
    msfl_free(values);
    msfl_free(totals);
    msfl_ckks_ct_free(ct);
    msfl_ckks_ct_free(sum);
    msfl_ckks_public_free(public);
    msfl_ckks_secret_free(secret);
    msfl_ckks_free(ctx);
}

static void leave_switching(const msfl_ckks *ctx, const msfl_ckks_relin *relin, const msfl_ckks_galois *galois) {
    size_t length = msfl_ckks_galois_bytes(ctx, galois);
    uint8_t *bytes = msfl_alloc(length, 1);
    msfl_ckks_galois_write(ctx, galois, bytes);
    leave("galois", bytes, length);
    msfl_ckks_relin_write(ctx, relin, bytes);
    leave("relin", bytes, msfl_ckks_relin_bytes(ctx));
    msfl_free(bytes);
}

static void numbers(void) {
    const msfl_ckks_request r = {.depth = 1, .scale_bits = 25, .n_slots = 1, .n_addends = 1, .value_max = 256};
    const uint32_t steps[2] = {1, 5};
    const msfl_ckks_encoding how = {.magnitude = 16, .step = 1};
    msfl_ckks_params p;
    msfl_ckks *ctx;
    msfl_ckks_secret *secret;
    msfl_ckks_public *public;
    msfl_ckks_relin *relin;
    msfl_ckks_galois *galois;
    msfl_ckks_plain *plain;
    msfl_ckks_ct *a, *b;
    TRY(msfl_ckks_plan(&r, &p));
    TRY(msfl_ckks_new(&p, &ctx));
    TRY(msfl_ckks_secret_new(ctx, &secret));
    TRY(msfl_ckks_public_new(ctx, secret, &public));
    TRY(msfl_ckks_relin_new(ctx, secret, &relin));
    TRY(msfl_ckks_galois_new(ctx, secret, steps, 2, &galois));
    TRY(msfl_ckks_plain_new(ctx, &plain));
    TRY(msfl_ckks_ct_new(ctx, &a));
    TRY(msfl_ckks_ct_new(ctx, &b));
    leave_keys(ctx, secret, public);
    leave_switching(ctx, relin, galois);
    uint32_t n = msfl_ckks_slots(ctx);
    double *re = msfl_alloc(n, sizeof *re), *im = msfl_alloc(n, sizeof *im);
    msfl_seeded g;
    msfl_seeded_init(&g, 2, "probe", 0, 0, 0);
    for (uint32_t k = 0; k < n; k++) {
        re[k] = (double)msfl_seeded_below(&g, 21) - 10;
        im[k] = (double)msfl_seeded_below(&g, 21) - 10;
    }
    leave("re", re, n * sizeof *re);
    leave("im", im, n * sizeof *im);
    TRY(msfl_ckks_encode(ctx, re, im, n, &how, plain));
    TRY(msfl_ckks_encrypt(ctx, public, 8, plain, a));
    TRY(msfl_ckks_encrypt_seeded(ctx, secret, 8, plain, b));
    leave_ct(ctx, "ct.0", a);
    leave_ct(ctx, "ct.1", b);
    TRY(msfl_ckks_multiply(ctx, relin, a, b));
    TRY(msfl_ckks_rescale(ctx, a));
    leave_ct(ctx, "product", a);
    TRY(msfl_ckks_rotate(ctx, galois, b, 1));
    TRY(msfl_ckks_rotate(ctx, galois, b, 5));
    leave_ct(ctx, "turned", b);
    msfl_free(re);
    msfl_free(im);
    msfl_ckks_ct_free(a);
    msfl_ckks_ct_free(b);
    msfl_ckks_plain_free(plain);
    msfl_ckks_galois_free(galois);
    msfl_ckks_relin_free(relin);
    msfl_ckks_public_free(public);
    msfl_ckks_secret_free(secret);
    msfl_ckks_free(ctx);
}

static void open_numbers(char **argv) {
    size_t key_length, length;
    uint8_t *key_bytes, *bytes;
    msfl_ckks_params p;
    msfl_ckks *ctx;
    msfl_ckks_secret *secret;
    msfl_ckks_ct *ct;
    TRY(msfl_file_read(argv[0], (size_t)1 << 30, &key_bytes, &key_length));
    TRY(msfl_file_read(argv[1], (size_t)1 << 30, &bytes, &length));
    TRY(msfl_ckks_params_read(key_bytes, key_length, &p));
    TRY(msfl_ckks_new(&p, &ctx));
    TRY(msfl_ckks_secret_read(ctx, key_bytes, key_length, &secret));
    TRY(msfl_ckks_ct_new(ctx, &ct));
    TRY(msfl_ckks_ct_read(ctx, bytes, length, ct));
    size_t n = msfl_ckks_slots(ctx);
    double *out = msfl_alloc(2 * n, sizeof *out);
    TRY(msfl_ckks_decrypt_exact(ctx, secret, ct, out, out + n));
    TRY(msfl_file_write(argv[2], out, 2 * n * sizeof *out));
    msfl_free(out);
    msfl_free(key_bytes);
    msfl_free(bytes);
    msfl_ckks_ct_free(ct);
    msfl_ckks_secret_free(secret);
    msfl_ckks_free(ctx);
}

static uint32_t number(const char *text) {
    return (uint32_t)strtoul(text, NULL, 10);
}

int main(int argc, char **argv) {
    TRY(msfl_crypto_init());
    const char *what = argc > 1 ? argv[1] : "";
    folder = argv[argc - 1];
    if (argc == 6 && strcmp(what, "sums") == 0) {
        sums(number(argv[2]), number(argv[3]), number(argv[4]));
    } else if (argc == 3 && strcmp(what, "numbers") == 0) {
        numbers();
    } else if (argc == 5 && strcmp(what, "open") == 0) {
        open_numbers(argv + 2);
    } else {
        fprintf(stderr, "see the head of ckks_probe.c\n");
        return 2;
    }
    return 0;
}
