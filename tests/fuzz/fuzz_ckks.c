/* layer: he */
/* Keys and ciphertexts of the ckks scheme, whatever their bytes: what is read writes itself back, what is refused
 * leaves nothing. The first byte chooses the object and whether the rest is all of it (low bit 0), or is laid over a
 * good one at the offset in the next three bytes (low bit 1). */
#include "base/bytes.h"
#include "base/mem.h"
#include "base/sodium.h"
#include "he/ckks.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SECRET, PUBLIC, RELIN, GALOIS, NUMBERS, SEEDED, SUMS, PARAMS, KINDS };

static msfl_ckks *numbers, *sums;
static msfl_ckks_secret *secret;
static msfl_ckks_ct *ct, *summed;
static uint8_t *good[KINDS];
static size_t lengths[KINDS];

static void must(msfl_status status) {
    if (status != MSFL_OK) abort();
}

static void keep(int kind, size_t length) {
    lengths[kind] = length;
    good[kind] = malloc(length);
    if (good[kind] == NULL) abort();
}

static void make_sums(void) {
    const msfl_ckks_sums_request r = {.n_addends = 2, .value_bits = 8, .n_values = 100, .ring_degree = 2048};
    const uint32_t values[3] = {1, 2, 3};
    msfl_ckks_secret *key;
    msfl_ckks_params p;
    must(msfl_ckks_plan_sums(&r, &p));
    must(msfl_ckks_new(&p, &sums));
    must(msfl_ckks_secret_new(sums, &key));
    must(msfl_ckks_ct_new(sums, &summed));
    must(msfl_ckks_sums_encrypt_seeded(sums, key, 1, values, 3, summed));
    keep(SUMS, msfl_ckks_ct_bytes(sums, summed));
    msfl_ckks_ct_write(sums, summed, good[SUMS]);
    msfl_ckks_secret_free(key);
}

static void make_numbers(void) {
    const msfl_ckks_request r = {.scale_bits = 25, .n_slots = 1, .n_addends = 1, .value_max = 2, .rotations = true};
    const msfl_ckks_encoding how = {.step = 1};
    const uint32_t steps[1] = {3};
    const double one = 1;
    msfl_ckks_params p;
    msfl_ckks_public *public;
    msfl_ckks_relin *relin;
    msfl_ckks_galois *galois;
    msfl_ckks_plain *plain;
    must(msfl_ckks_plan(&r, &p));
    must(msfl_ckks_new(&p, &numbers));
    must(msfl_ckks_secret_new(numbers, &secret));
    must(msfl_ckks_public_new(numbers, secret, &public));
    must(msfl_ckks_relin_new(numbers, secret, &relin));
    must(msfl_ckks_galois_new(numbers, secret, steps, 1, &galois));
    must(msfl_ckks_plain_new(numbers, &plain));
    must(msfl_ckks_ct_new(numbers, &ct));
    keep(SECRET, msfl_ckks_secret_bytes(numbers));
    msfl_ckks_secret_write(numbers, secret, good[SECRET]);
    keep(PARAMS, lengths[SECRET]);
    memcpy(good[PARAMS], good[SECRET], lengths[SECRET]);
    keep(PUBLIC, msfl_ckks_public_bytes(numbers));
    msfl_ckks_public_write(numbers, public, good[PUBLIC]);
    keep(RELIN, msfl_ckks_relin_bytes(numbers));
    msfl_ckks_relin_write(numbers, relin, good[RELIN]);
    keep(GALOIS, msfl_ckks_galois_bytes(numbers, galois));
    msfl_ckks_galois_write(numbers, galois, good[GALOIS]);
    must(msfl_ckks_encode(numbers, &one, NULL, 1, &how, plain));
    must(msfl_ckks_encrypt(numbers, public, 1, plain, ct));
    keep(NUMBERS, msfl_ckks_ct_bytes(numbers, ct));
    msfl_ckks_ct_write(numbers, ct, good[NUMBERS]);
    must(msfl_ckks_encrypt_seeded(numbers, secret, 1, plain, ct));
    keep(SEEDED, msfl_ckks_ct_bytes(numbers, ct));
    msfl_ckks_ct_write(numbers, ct, good[SEEDED]);
    msfl_ckks_public_free(public);
    msfl_ckks_relin_free(relin);
    msfl_ckks_galois_free(galois);
    msfl_ckks_plain_free(plain);
}

static void same(const uint8_t *a, const uint8_t *b, size_t written, size_t length) {
    if (written != length || memcmp(a, b, length) != 0) abort();
}

static void read_key(int kind, const uint8_t *bytes, size_t length) {
    uint8_t *again = malloc(length + 1);
    msfl_ckks_secret *s;
    msfl_ckks_public *p;
    msfl_ckks_relin *r;
    msfl_ckks_galois *g;
    if (again == NULL) abort();
    if (kind == SECRET && msfl_ckks_secret_read(numbers, bytes, length, &s) == MSFL_OK) {
        if (msfl_ckks_secret_bytes(numbers) != length) abort();
        msfl_ckks_secret_write(numbers, s, again);
        same(bytes, again, length, length);
        msfl_ckks_secret_free(s);
    }
    if (kind == PUBLIC && msfl_ckks_public_read(numbers, bytes, length, &p) == MSFL_OK) {
        if (msfl_ckks_public_bytes(numbers) != length) abort();
        msfl_ckks_public_write(numbers, p, again);
        same(bytes, again, length, length);
        msfl_ckks_public_free(p);
    }
    if (kind == RELIN && msfl_ckks_relin_read(numbers, bytes, length, &r) == MSFL_OK) {
        if (msfl_ckks_relin_bytes(numbers) != length) abort();
        msfl_ckks_relin_write(numbers, r, again);
        same(bytes, again, length, length);
        msfl_ckks_relin_free(r);
    }
    if (kind == GALOIS && msfl_ckks_galois_read(numbers, bytes, length, &g) == MSFL_OK) {
        if (msfl_ckks_galois_bytes(numbers, g) != length) abort();
        msfl_ckks_galois_write(numbers, g, again);
        same(bytes, again, length, length);
        msfl_ckks_galois_free(g);
    }
    free(again);
}

static void read_ct(int kind, const uint8_t *bytes, size_t length) {
    msfl_ckks *ctx = kind == SUMS ? sums : numbers;
    msfl_ckks_ct *into = kind == SUMS ? summed : ct;
    if (msfl_ckks_ct_read(ctx, bytes, length, into) != MSFL_OK) {
        if (msfl_ckks_ct_values(into) != 0) abort();
        return;
    }
    if (msfl_ckks_ct_bytes(ctx, into) != length) abort();
    uint8_t *again = malloc(length);
    if (again == NULL) abort();
    msfl_ckks_ct_write(ctx, into, again);
    same(bytes, again, length, length);
    free(again);
    if (kind == SUMS) return;
    double re[MSFL_EMBED_SLOTS_MAX], im[MSFL_EMBED_SLOTS_MAX];
    uint32_t n = msfl_ckks_slots(ctx);
    if (msfl_ckks_decrypt_exact(ctx, secret, into, re, im) == MSFL_OK) return;
    for (uint32_t j = 0; j < n; j++) {
        if (re[j] != 0 || im[j] != 0) abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (numbers == NULL) {
        must(msfl_crypto_init());
        make_numbers();
        make_sums();
    }
    if (size < 4) return 0;
    int kind = data[0] / 2 % KINDS;
    bool over = (data[0] & 1) != 0;
    size_t at = over ? msfl_load32(data) >> 8 : 0, rest = size - (over ? 4 : 1), length = over ? lengths[kind] : rest;
    const uint8_t *from = data + (over ? 4 : 1);
    uint8_t *bytes = malloc(length + 1);
    if (bytes == NULL) abort();
    if (over) {
        memcpy(bytes, good[kind], length);
        at %= length;
        memcpy(bytes + at, from, rest < length - at ? rest : length - at);
    } else {
        memcpy(bytes, from, length);
    }
    msfl_ckks_params p;
    if (kind == PARAMS && msfl_ckks_params_read(bytes, length, &p) == MSFL_OK && msfl_ckks_check(&p) != MSFL_OK)
        abort();
    if (kind <= GALOIS) read_key(kind, bytes, length);
    if (kind >= NUMBERS && kind <= SUMS) read_ct(kind, bytes, length);
    free(bytes);
    return 0;
}
