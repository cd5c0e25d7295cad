/* layer: he */
/* Keys and ciphertexts of the bfv scheme, whatever their bytes: what is read writes itself back, what is refused leaves
 * nothing, and a sum changes only if what was added is well formed. The first byte chooses the object (low two bits)
 * and whether the rest is all of it, or is laid over a good one at the offset in the next three bytes (bit 2). */
#include "base/bytes.h"
#include "base/mem.h"
#include "base/sodium.h"
#include "he/bfv.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SECRET, PUBLIC, FULL, SEEDED, KINDS };

static msfl_bfv *ctx;
static msfl_bfv_ct *ct;
static uint8_t *good[KINDS], *sum, *before;
static size_t lengths[KINDS];

static void must(bool ok) {
    if (!ok) abort();
}

static void keep(int kind, size_t length) {
    lengths[kind] = length;
    good[kind] = malloc(length);
    must(good[kind] != NULL);
}

static void set_up(void) {
    const msfl_bfv_request r = {.n_addends = 3, .value_bits = 8, .n_values = 100, .ring_degree = 1024};
    const uint32_t values[3] = {1, 2, 3};
    msfl_bfv_params p;
    msfl_bfv_secret *secret;
    msfl_bfv_public *public;
    must(msfl_crypto_init() == MSFL_OK && msfl_bfv_plan(&r, &p) == MSFL_OK && msfl_bfv_new(&p, &ctx) == MSFL_OK);
    must(msfl_bfv_secret_new(ctx, &secret) == MSFL_OK);
    must(msfl_bfv_public_new(ctx, secret, &public) == MSFL_OK);
    must(msfl_bfv_ct_new(ctx, &ct) == MSFL_OK);
    keep(SECRET, msfl_bfv_secret_bytes(ctx));
    msfl_bfv_secret_write(ctx, secret, good[SECRET]);
    keep(PUBLIC, msfl_bfv_public_bytes(ctx));
    msfl_bfv_public_write(ctx, public, good[PUBLIC]);
    must(msfl_bfv_encrypt_seeded(ctx, secret, 1, values, 3, ct) == MSFL_OK);
    keep(SEEDED, msfl_bfv_ct_bytes(ctx, ct));
    msfl_bfv_ct_write(ctx, ct, good[SEEDED]);
    must(msfl_bfv_encrypt(ctx, public, 1, values, 3, ct) == MSFL_OK);
    keep(FULL, msfl_bfv_ct_bytes(ctx, ct));
    msfl_bfv_ct_write(ctx, ct, good[FULL]);
    sum = malloc(lengths[FULL]);
    before = malloc(lengths[FULL]);
    must(sum != NULL && before != NULL);
    msfl_bfv_secret_free(secret);
    msfl_bfv_public_free(public);
}

static void read_key(int kind, const uint8_t *bytes, size_t length) {
    uint8_t *again = malloc(length + 1);
    msfl_bfv_params p;
    msfl_bfv_secret *s;
    msfl_bfv_public *k;
    must(again != NULL);
    if (msfl_bfv_params_read(bytes, length, &p) == MSFL_OK) must(msfl_bfv_check(&p) == MSFL_OK);
    if (kind == SECRET && msfl_bfv_secret_read(ctx, bytes, length, &s) == MSFL_OK) {
        must(msfl_bfv_secret_bytes(ctx) == length);
        msfl_bfv_secret_write(ctx, s, again);
        must(memcmp(bytes, again, length) == 0);
        msfl_bfv_secret_free(s);
    }
    if (kind == PUBLIC && msfl_bfv_public_read(ctx, bytes, length, &k) == MSFL_OK) {
        must(msfl_bfv_public_bytes(ctx) == length);
        msfl_bfv_public_write(ctx, k, again);
        must(memcmp(bytes, again, length) == 0);
        msfl_bfv_public_free(k);
    }
    free(again);
}

static void read_ct(const uint8_t *bytes, size_t length) {
    msfl_bfv_ct_facts facts;
    bool fine = msfl_bfv_ct_check(ctx, bytes, length, &facts) == MSFL_OK;
    must(fine == (msfl_bfv_ct_read(ctx, bytes, length, ct) == MSFL_OK));
    if (fine) {
        must(facts.n_values == msfl_bfv_ct_values(ct) && msfl_bfv_ct_bytes(ctx, ct) == length);
        uint8_t *again = malloc(length);
        must(again != NULL);
        msfl_bfv_ct_write(ctx, ct, again);
        must(memcmp(bytes, again, length) == 0);
        free(again);
    } else {
        must(msfl_bfv_ct_values(ct) == 0);
    }
    memcpy(sum, good[FULL], lengths[FULL]);
    memcpy(before, good[FULL], lengths[FULL]);
    if (length != lengths[FULL]) return;
    msfl_status status = msfl_bfv_ct_fold(ctx, sum, bytes, length);
    if (status == MSFL_OK) must(fine);
    if (status != MSFL_OK) must(memcmp(sum, before, length) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (ctx == NULL) set_up();
    if (size < 1) return 0;
    int kind = data[0] & 3;
    uint8_t *laid = NULL;
    const uint8_t *bytes = data + 1;
    size_t length = size - 1;
    if ((data[0] & 4) != 0) {
        if (size < 4) return 0;
        size_t at = data[1] | (size_t)data[2] << 8 | (size_t)data[3] << 16, n = size - 4;
        at %= lengths[kind];
        if (n > lengths[kind] - at) n = lengths[kind] - at;
        laid = malloc(lengths[kind]);
        must(laid != NULL);
        memcpy(laid, good[kind], lengths[kind]);
        memcpy(laid + at, data + 4, n);
        bytes = laid;
        length = lengths[kind];
    }
    if (kind == SECRET || kind == PUBLIC) {
        read_key(kind, bytes, length);
    } else {
        read_ct(bytes, length);
    }
    free(laid);
    return 0;
}
