/* layer: he
 *
 * What the library makes, left in files for a script that checks it by itself.
 *
 *   he_probe bfv ADDENDS BITS VALUES RING FOLDER   a key pair and two encryptions of one chunk: secret, public, full,
 *                                                  seeded, sum (as on the wire), values (u32)
 *   he_probe bfv-open FOLDER                       opens the ciphertext `foreign` with the key `secret`: totals (u64)
 *   he_probe shamir T K N FOLDER                   secret (i32), shares (u32), packed
 *   he_probe primes                                every (degree, prime, root) of the plans for many requests
 */
#include "base/file.h"
#include "base/mem.h"
#include "base/seeded.h"
#include "base/sodium.h"
#include "he/bfv.h"
#include "he/shamir.h"
#include "medsecurefl/packed.h"
#include "ring/prime.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Noreturn void stop(const char *what) {
    fprintf(stderr, "he_probe: %s: %s\n", what, msfl_error_message());
    exit(1);
}
#define TRY(call)                                                                                                      \
    do {                                                                                                               \
        if ((call) != MSFL_OK) stop(#call);                                                                            \
    } while (0)

static void *get(size_t count, size_t size) {
    void *memory = msfl_alloc(count, size);
    if (memory == NULL) stop("memory");
    return memory;
}

static void leave(const char *folder, const char *name, const void *bytes, size_t length) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    TRY(msfl_file_write(path, bytes, length));
}

static uint8_t *fetch(const char *folder, const char *name, size_t *length) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    uint8_t *bytes = NULL;
    TRY(msfl_file_read(path, 1 << 24, &bytes, length));
    return bytes;
}

static void leave_ct(const char *folder, const char *name, const msfl_bfv *ctx, const msfl_bfv_ct *ct) {
    size_t length = msfl_bfv_ct_bytes(ctx, ct);
    uint8_t *bytes = get(length, 1);
    msfl_bfv_ct_write(ctx, ct, bytes);
    leave(folder, name, bytes, length);
    msfl_free(bytes);
}

static void bfv(const msfl_bfv_request *request, const char *folder) {
    msfl_bfv_params p;
    msfl_bfv *ctx;
    msfl_bfv_secret *secret;
    msfl_bfv_public *public;
    msfl_bfv_ct *sum, *ct;
    TRY(msfl_bfv_plan(request, &p));
    TRY(msfl_bfv_new(&p, &ctx));
    TRY(msfl_bfv_secret_new(ctx, &secret));
    TRY(msfl_bfv_public_new(ctx, secret, &public));
    TRY(msfl_bfv_ct_new(ctx, &sum));
    TRY(msfl_bfv_ct_new(ctx, &ct));
    uint8_t *bytes = get(msfl_bfv_public_bytes(ctx), 1);
    msfl_bfv_public_write(ctx, public, bytes);
    leave(folder, "public", bytes, msfl_bfv_public_bytes(ctx));
    msfl_bfv_secret_write(ctx, secret, bytes);
    leave(folder, "secret", bytes, msfl_bfv_secret_bytes(ctx));
    uint32_t n = msfl_bfv_chunk_values(ctx, request->n_values, 0);
    uint32_t *values = get(n, sizeof *values);
    msfl_seeded g;
    msfl_seeded_init(&g, 1, "he_probe", 0, 0, 0);
    for (uint32_t i = 0; i < n; i++)
        values[i] =
            (uint32_t)(i < 9 ? (UINT64_C(1) << p.value_bits) - 1 : msfl_seeded_below(&g, UINT64_C(1) << p.value_bits));
    leave(folder, "values", values, n * sizeof *values);
    TRY(msfl_bfv_encrypt(ctx, public, 77, values, n, sum));
    TRY(msfl_bfv_encrypt_seeded(ctx, secret, 77, values, n, ct));
    leave_ct(folder, "full", ctx, sum);
    leave_ct(folder, "seeded", ctx, ct);
    TRY(msfl_bfv_add(ctx, sum, ct));
    leave_ct(folder, "sum", ctx, sum);
    msfl_free(bytes);
    msfl_free(values);
    msfl_bfv_ct_free(sum);
    msfl_bfv_ct_free(ct);
    msfl_bfv_public_free(public);
    msfl_bfv_secret_free(secret);
    msfl_bfv_free(ctx);
}

static void bfv_open(const char *folder) {
    size_t key_length, length;
    uint8_t *key = fetch(folder, "secret", &key_length), *bytes = fetch(folder, "foreign", &length);
    msfl_bfv_params p;
    msfl_bfv *ctx;
    msfl_bfv_secret *secret;
    msfl_bfv_ct *ct;
    TRY(msfl_bfv_params_read(key, key_length, &p));
    TRY(msfl_bfv_new(&p, &ctx));
    TRY(msfl_bfv_secret_read(ctx, key, key_length, &secret));
    TRY(msfl_bfv_ct_new(ctx, &ct));
    TRY(msfl_bfv_ct_read(ctx, bytes, length, ct));
    uint64_t *totals = get(msfl_bfv_ct_values(ct), sizeof *totals);
    TRY(msfl_bfv_decrypt(ctx, secret, ct, totals));
    leave(folder, "totals", totals, msfl_bfv_ct_values(ct) * sizeof *totals);
    msfl_free(totals);
    msfl_free(key);
    msfl_free(bytes);
    msfl_bfv_ct_free(ct);
    msfl_bfv_secret_free(secret);
    msfl_bfv_free(ctx);
}

static void shamir(uint32_t t, uint32_t k, size_t n, const char *folder) {
    int32_t *secret = get(n, sizeof *secret);
    uint32_t *shares = get((size_t)k * n, sizeof *shares);
    uint8_t *packed = get(msfl_shamir_packed_bytes((size_t)k * n), 1);
    msfl_seeded g;
    msfl_seeded_init(&g, 2, "he_probe", 0, 0, 0);
    for (size_t i = 0; i < n; i++)
        secret[i] = i < 2 ? (i == 0 ? MSFL_SHAMIR_MAX : -MSFL_SHAMIR_MAX)
                          : (int32_t)msfl_seeded_below(&g, MSFL_SHAMIR_PRIME) - MSFL_SHAMIR_MAX;
    TRY(msfl_shamir_split(t, k, secret, n, shares));
    msfl_shamir_pack(shares, (size_t)k * n, packed);
    leave(folder, "secret", secret, n * sizeof *secret);
    leave(folder, "shares", shares, (size_t)k * n * sizeof *shares);
    leave(folder, "packed", packed, msfl_shamir_packed_bytes((size_t)k * n));
    msfl_free(secret);
    msfl_free(shares);
    msfl_free(packed);
}

/* --- primes --- */

typedef struct pair {
    uint32_t degree;
    uint64_t prime;
} pair;

static pair *pairs;
static size_t n_pairs, capacity;

static void note(uint32_t degree, const uint64_t *primes, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) {
        bool known = false;
        for (size_t k = 0; k < n_pairs; k++)
            known |= pairs[k].degree == degree && pairs[k].prime == primes[i];
        if (known) continue;
        TRY(msfl_grow((void **)&pairs, &capacity, n_pairs + 1, sizeof *pairs));
        pairs[n_pairs++] = (pair){degree, primes[i]};
    }
}

static void all_primes(void) {
    static const uint32_t clients[] = {1, 2, 3, 10, 100, 1000, 10000};
    static const uint64_t values[] = {1000, 222722, 25600000};
    for (uint32_t security = 128; security <= 256; security += 64) {
        for (uint32_t ring = 512; ring <= 32768; ring *= 2) {
            for (size_t c = 0; c < sizeof clients / sizeof clients[0]; c++) {
                for (uint32_t bits = 2; bits <= 32; bits += 3) {
                    for (size_t v = 0; v < 3; v++) {
                        const uint32_t degree = ring == 512 ? 0 : ring; /* the cheapest, then each */
                        msfl_params p;
                        msfl_bfv_params b;
                        if (msfl_params_plan(&(msfl_params_request){clients[c], bits, values[v], security, degree},
                                             &p) == MSFL_OK) {
                            note(p.ring_degree, p.primes, p.n_primes);
                        }
                        if (msfl_bfv_plan(&(msfl_bfv_request){clients[c], bits, values[v], security, degree}, &b) ==
                            MSFL_OK) {
                            note(b.ring_degree, b.primes, b.n_primes);
                        }
                    }
                }
            }
        }
    }
    for (size_t i = 0; i < n_pairs; i++)
        printf("%" PRIu32 " %" PRIu64 " %" PRIu64 "\n", pairs[i].degree, pairs[i].prime,
               msfl_root_2n(pairs[i].prime, pairs[i].degree));
    msfl_free(pairs);
}

int main(int argc, char **argv) {
    if (msfl_crypto_init() != MSFL_OK) return 1;
    if (argc == 7 && strcmp(argv[1], "bfv") == 0) {
        const msfl_bfv_request request = {.n_addends = (uint32_t)strtoul(argv[2], NULL, 10),
                                          .value_bits = (uint32_t)strtoul(argv[3], NULL, 10),
                                          .n_values = strtoul(argv[4], NULL, 10),
                                          .ring_degree = (uint32_t)strtoul(argv[5], NULL, 10)};
        bfv(&request, argv[6]);
    } else if (argc == 3 && strcmp(argv[1], "bfv-open") == 0) {
        bfv_open(argv[2]);
    } else if (argc == 6 && strcmp(argv[1], "shamir") == 0) {
        shamir((uint32_t)strtoul(argv[2], NULL, 10), (uint32_t)strtoul(argv[3], NULL, 10), strtoul(argv[4], NULL, 10),
               argv[5]);
    } else if (argc == 2 && strcmp(argv[1], "primes") == 0) {
        all_primes();
    } else {
        fprintf(stderr, "he_probe: see the top of its source\n");
        return 2;
    }
    return 0;
}
