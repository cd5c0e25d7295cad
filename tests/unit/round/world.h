/* A whole round in one process: parameters, an authority, and every client's upload with the integers inside it. */
#ifndef TEST_ROUND_WORLD_H
#define TEST_ROUND_WORLD_H

#include "base/mem.h"
#include "base/seeded.h"
#include "base/sodium.h"
#include "medsecurefl/round.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { WORLD_CLIENTS_MAX = 20 };

typedef struct world {
    msfl_packed *ctx;
    msfl_round_info info;
    msfl_authority *authority;
    uint64_t n_chunks;
    size_t ciphertext_bytes, bundle_bytes;
    uint32_t *slots[WORLD_CLIENTS_MAX];
    uint8_t *ciphertext[WORLD_CLIENTS_MAX], *bundle[WORLD_CLIENTS_MAX];
    uint8_t hash[WORLD_CLIENTS_MAX][MSFL_HASH_BYTES];
} world;

static inline void *world_get(size_t count, size_t size) {
    void *memory = msfl_alloc(count, size);
    assert_non_null(memory);
    return memory;
}

/** The upload of client `i` in the round of `w->info`, from the slots that `w` holds for it. */
static inline void world_encrypt(world *w, uint32_t i) {
    msfl_round_client *c = NULL;
    assert_int_equal(msfl_round_client_new(w->ctx, &w->info, i, &c), MSFL_OK);
    uint64_t slot = 0;
    size_t at = 0;
    for (uint64_t j = 0; j < w->n_chunks; j++) {
        assert_int_equal(msfl_round_client_encrypt(c, j, w->slots[i] + slot, w->ciphertext[i] + at), MSFL_OK);
        slot += msfl_packed_chunk_slots(w->ctx, w->info.n_values, j);
        at += msfl_packed_chunk_bytes(w->ctx, w->info.n_values, j);
    }
    assert_int_equal(slot, w->info.n_values);
    assert_int_equal(at, w->ciphertext_bytes);
    assert_int_equal(msfl_round_client_finish(c, w->hash[i], w->bundle[i]), MSFL_OK);
    msfl_round_client_free(c);
}

/** A round of `n` clients of `n_values` values of `bits` bits; each client's upload is made. */
static inline void world_make(world *w, uint32_t n, uint32_t min_cohort, uint32_t bits, uint64_t n_values) {
    memset(w, 0, sizeof *w);
    const msfl_params_request request = {.n_clients = n, .value_bits = bits, .n_values = n_values, .ring_degree = 4096};
    assert_int_equal(msfl_params_plan(&request, &w->info.params), MSFL_OK);
    assert_int_equal(msfl_packed_new(&w->info.params, &w->ctx), MSFL_OK);
    assert_int_equal(msfl_authority_new(&w->authority), MSFL_OK);
    w->info.number = 1;
    memset(w->info.task, 't', sizeof w->info.task);
    memset(w->info.model, 'm', sizeof w->info.model);
    memset(w->info.layout, 'l', sizeof w->info.layout);
    msfl_authority_public_key(w->authority, w->info.authority);
    w->info.n_clients = n;
    w->info.min_cohort = min_cohort;
    w->info.n_values = n_values;
    w->n_chunks = msfl_packed_chunks(w->ctx, n_values);
    for (uint64_t j = 0; j < w->n_chunks; j++)
        w->ciphertext_bytes += msfl_packed_chunk_bytes(w->ctx, n_values, j);
    w->bundle_bytes = msfl_round_bundle_bytes(&w->info.params);
    msfl_seeded g;
    msfl_seeded_init(&g, 1, "test.world", n, bits, n_values);
    for (uint32_t i = 0; i < n; i++) {
        w->slots[i] = world_get(n_values, sizeof *w->slots[i]);
        w->ciphertext[i] = world_get(w->ciphertext_bytes, 1);
        w->bundle[i] = world_get(w->bundle_bytes, 1);
        for (uint64_t v = 0; v < n_values; v++) {
            /* the largest everywhere in the first slots: carries between slots would show */
            w->slots[i][v] =
                v < 100 ? (uint32_t)((UINT64_C(1) << bits) - 1) : (uint32_t)msfl_seeded_below(&g, UINT64_C(1) << bits);
        }
        world_encrypt(w, i);
    }
}

static inline void world_clear(world *w) {
    for (uint32_t i = 0; i < WORLD_CLIENTS_MAX; i++) {
        msfl_free(w->slots[i]);
        msfl_free(w->ciphertext[i]);
        msfl_free(w->bundle[i]);
    }
    msfl_authority_free(w->authority);
    msfl_packed_free(w->ctx);
}

static inline msfl_status world_upload(const world *w, msfl_round_coordinator *c, uint32_t i) {
    return msfl_round_coordinator_upload(c, i, w->ciphertext[i], w->ciphertext_bytes, w->hash[i], w->bundle[i],
                                         w->bundle_bytes);
}

static inline msfl_status world_answer(const world *w, const msfl_round_certificate *certificate, int32_t *key_sum) {
    return msfl_authority_answer(w->authority, &w->info, certificate->clients, certificate->bundles,
                                 certificate->ciphertext_hashes, certificate->n, key_sum);
}

/** Open every chunk of a released round and hold it to the plain sum over the clients of `in`. */
static inline void world_expect_sum(const world *w, msfl_round_coordinator *c, const uint32_t *in, size_t n) {
    uint64_t *totals = world_get(w->info.n_values, sizeof *totals), slot = 0;
    for (uint64_t j = 0; j < w->n_chunks; j++) {
        assert_int_equal(msfl_round_coordinator_open(c, j, totals), MSFL_OK);
        uint32_t n_slots = msfl_packed_chunk_slots(w->ctx, w->info.n_values, j);
        for (uint32_t k = 0; k < n_slots; k++) {
            uint64_t expected = 0;
            for (size_t i = 0; i < n; i++)
                expected += w->slots[in[i]][slot + k];
            if (totals[k] != expected) fail_msg("slot %u of chunk %u differs", k, (unsigned)j);
        }
        slot += n_slots;
    }
    msfl_free(totals);
}

/** Certify, answer, release, and expect exactly the sum over `in`. */
static inline void world_finish(const world *w, msfl_round_coordinator *c, const uint32_t *in, size_t n) {
    msfl_round_certificate certificate;
    int32_t *key_sum = world_get(w->info.params.ring_degree, sizeof *key_sum);
    assert_int_equal(msfl_round_coordinator_certify(c, &certificate), MSFL_OK);
    assert_int_equal(certificate.n, n);
    assert_memory_equal(certificate.clients, in, n * sizeof *in);
    assert_int_equal(world_answer(w, &certificate, key_sum), MSFL_OK);
    assert_int_equal(msfl_round_coordinator_release(c, key_sum), MSFL_OK);
    world_expect_sum(w, c, in, n);
    msfl_free(key_sum);
}

static inline void expect_words(const char *words) {
    if (strstr(msfl_error_message(), words) == NULL) fail_msg("\"%s\" is not in \"%s\"", words, msfl_error_message());
}

#endif
