/* Whole rounds: the exact sum and nothing else, with drop-outs, bad uploads, threads, and failing memory. */
#include "world.h"

#include "medsecurefl/update.h"
#include "update/layout.h"

#include <pthread.h>

static void whole_rounds_open_to_the_plain_sum(void **state) {
    (void)state;
    static const uint32_t sizes[] = {2, 3, 5, 20};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        world w;
        world_make(&w, sizes[i], sizes[i] < 3 ? 2 : 3, 16, 30000);
        assert_true(w.n_chunks >= 2);
        msfl_round_coordinator *c = NULL;
        assert_int_equal(msfl_round_coordinator_new(w.ctx, &w.info, &c), MSFL_OK);
        uint32_t all[WORLD_CLIENTS_MAX];
        for (uint32_t k = 0; k < sizes[i]; k++) {
            all[k] = k;
            uint32_t order = sizes[i] - 1 - k; /* they come in any order */
            assert_int_equal(world_upload(&w, c, order), MSFL_OK);
        }
        world_finish(&w, c, all, sizes[i]);
        msfl_round_coordinator_free(c);
        world_clear(&w);
    }
}

static void one_value_is_a_round_too(void **state) {
    (void)state;
    world w;
    world_make(&w, 3, 3, 24, 1);
    msfl_round_coordinator *c = NULL;
    assert_int_equal(msfl_round_coordinator_new(w.ctx, &w.info, &c), MSFL_OK);
    const uint32_t all[] = {0, 1, 2};
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(world_upload(&w, c, i), MSFL_OK);
    world_finish(&w, c, all, 3);
    msfl_round_coordinator_free(c);
    world_clear(&w);
}

static void drop_outs_leave_the_sum_of_the_others(void **state) {
    (void)state;
    world w;
    world_make(&w, 5, 3, 16, 20000);
    msfl_round_coordinator *c = NULL;
    msfl_round_certificate certificate;
    assert_int_equal(msfl_round_coordinator_new(w.ctx, &w.info, &c), MSFL_OK);
    assert_int_equal(world_upload(&w, c, 4), MSFL_OK);
    assert_int_equal(world_upload(&w, c, 1), MSFL_OK);
    /* Two are too few; the round stays open for the third. */
    assert_int_equal(msfl_round_coordinator_certify(c, &certificate), MSFL_ERR_POLICY);
    expect_words("has 2 updates, at least 3");
    assert_int_equal(certificate.n, 0);
    assert_int_equal(world_upload(&w, c, 2), MSFL_OK);
    const uint32_t in[] = {1, 2, 4};
    world_finish(&w, c, in, 3);
    msfl_round_coordinator_free(c);
    world_clear(&w);
}

static void bad_uploads_leave_no_trace(void **state) {
    (void)state;
    world w;
    world_make(&w, 4, 3, 16, 30000);
    msfl_round_coordinator *c = NULL;
    assert_int_equal(msfl_round_coordinator_new(w.ctx, &w.info, &c), MSFL_OK);
    assert_int_equal(world_upload(&w, c, 0), MSFL_OK);
    const size_t length = w.ciphertext_bytes;
    uint8_t *ct = w.ciphertext[1], *hash = w.hash[1], *bundle = w.bundle[1];

    /* Truncated anywhere, or too long. */
    static const size_t missing[] = {1, 7, 4096};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(msfl_round_coordinator_upload(c, 1, ct, length - missing[i], hash, bundle, w.bundle_bytes),
                         MSFL_ERR_FORMAT);
        expect_words("client 1");
    }
    assert_int_equal(msfl_round_coordinator_upload(c, 1, ct, 0, hash, bundle, w.bundle_bytes), MSFL_ERR_FORMAT);
    assert_int_equal(msfl_round_coordinator_upload(c, 1, ct, SIZE_MAX, hash, bundle, w.bundle_bytes), MSFL_ERR_FORMAT);
    assert_int_equal(msfl_round_coordinator_upload(c, 1, ct, length, hash, bundle, w.bundle_bytes - 1),
                     MSFL_ERR_FORMAT);
    assert_int_equal(msfl_round_coordinator_upload(c, 1, ct, length, hash, bundle, 0), MSFL_ERR_FORMAT);
    expect_words("key bundle of 0 bytes");

    /* One bit, anywhere in the ciphertext or its hash. */
    msfl_seeded g;
    msfl_seeded_init(&g, 4, "test.bits", 0, 0, 0);
    for (int i = 0; i < 60; i++) {
        size_t at = i == 0 ? 0 : i == 1 ? length - 1 : (size_t)msfl_seeded_below(&g, length);
        uint8_t bit = (uint8_t)(1u << msfl_seeded_below(&g, 8));
        ct[at] ^= bit;
        assert_int_equal(world_upload(&w, c, 1), MSFL_ERR_CRYPTO);
        expect_words("client 1");
        ct[at] ^= bit;
    }
    for (int i = 0; i < 8 * MSFL_HASH_BYTES; i++) {
        hash[i / 8] ^= (uint8_t)(1u << i % 8);
        assert_int_equal(world_upload(&w, c, 1), MSFL_ERR_CRYPTO);
        hash[i / 8] ^= (uint8_t)(1u << i % 8);
    }

    /* Another client's ciphertext, and one made for another round. */
    assert_int_equal(
        msfl_round_coordinator_upload(c, 1, w.ciphertext[2], length, w.hash[2], w.bundle[2], w.bundle_bytes),
        MSFL_ERR_CRYPTO);
    w.info.number = 2;
    world_encrypt(&w, 3);
    w.info.number = 1;
    assert_int_equal(world_upload(&w, c, 3), MSFL_ERR_CRYPTO);
    expect_words("client 3");

    /* Unknown, and twice. */
    assert_int_equal(msfl_round_coordinator_upload(c, 4, ct, length, hash, bundle, w.bundle_bytes), MSFL_ERR_POLICY);
    expect_words("client 4");
    assert_int_equal(msfl_round_coordinator_upload(c, UINT32_MAX, ct, length, hash, bundle, w.bundle_bytes),
                     MSFL_ERR_POLICY);
    assert_int_equal(world_upload(&w, c, 0), MSFL_ERR_EXISTS);
    expect_words("client 0");

    /* After all that the round gives exactly the sum of the good ones. */
    assert_int_equal(world_upload(&w, c, 1), MSFL_OK);
    world_encrypt(&w, 3);
    assert_int_equal(world_upload(&w, c, 3), MSFL_OK);
    const uint32_t in[] = {0, 1, 3};
    world_finish(&w, c, in, 3);
    msfl_round_coordinator_free(c);
    world_clear(&w);
}

/** A client that hashes and sends residues out of range in its last chunk: refused before its first chunk is added. */
static void malformed_chunks_are_refused_whole(void **state) {
    (void)state;
    world w;
    world_make(&w, 4, 3, 16, 30000);
    msfl_round_coordinator *c = NULL;
    assert_int_equal(msfl_round_coordinator_new(w.ctx, &w.info, &c), MSFL_OK);
    /* An honest hash over a dishonest ciphertext, worked out as the client's own code would. */
    uint8_t id[MSFL_HASH_BYTES];
    msfl_round_id(&w.info, id);
    size_t last = msfl_packed_chunk_bytes(w.ctx, w.info.n_values, w.n_chunks - 1);
    memset(w.ciphertext[0] + w.ciphertext_bytes - last, 0xff, last - 8);
    msfl_hash h;
    msfl_hash_init(&h, "msfl.round.ciphertext.v1");
    msfl_hash_add(&h, id, sizeof id);
    msfl_hash_add_u64(&h, 0);
    msfl_hash_add_u64(&h, w.ciphertext_bytes);
    msfl_hash_add(&h, w.ciphertext[0], w.ciphertext_bytes);
    msfl_hash_final(&h, w.hash[0]);
    assert_int_equal(world_upload(&w, c, 0), MSFL_ERR_FORMAT);
    expect_words("client 0: chunk");
    const uint32_t in[] = {1, 2, 3};
    for (int i = 0; i < 3; i++)
        assert_int_equal(world_upload(&w, c, in[i]), MSFL_OK);
    world_finish(&w, c, in, 3);
    msfl_round_coordinator_free(c);
    world_clear(&w);
}

static void phases_are_held(void **state) {
    (void)state;
    world w;
    world_make(&w, 4, 3, 16, 5000);
    const uint32_t degree = w.info.params.ring_degree, in[] = {0, 1, 2};
    int32_t *key_sum = world_get(degree, sizeof *key_sum), *wrong = world_get(degree, sizeof *wrong);
    uint64_t *totals = world_get(w.info.n_values, sizeof *totals);
    msfl_round_certificate certificate;
    msfl_round_coordinator *c = NULL;
    assert_int_equal(msfl_round_coordinator_new(w.ctx, &w.info, &c), MSFL_OK);
    for (int i = 0; i < 3; i++)
        assert_int_equal(world_upload(&w, c, in[i]), MSFL_OK);
    assert_int_equal(msfl_round_coordinator_release(c, key_sum), MSFL_ERR_POLICY);
    assert_int_equal(msfl_round_coordinator_open(c, 0, totals), MSFL_ERR_POLICY);
    assert_int_equal(msfl_round_coordinator_certify(c, &certificate), MSFL_OK);
    msfl_round_certificate again;
    assert_int_equal(msfl_round_coordinator_certify(c, &again), MSFL_ERR_POLICY);
    assert_int_equal(world_upload(&w, c, 3), MSFL_ERR_POLICY); /* too late */
    expect_words("client 3: upload refused: round 1 has closed its cohort");
    assert_int_equal(msfl_round_coordinator_open(c, 0, totals), MSFL_ERR_POLICY);

    assert_int_equal(world_answer(&w, &certificate, key_sum), MSFL_OK);
    for (uint32_t k = 0; k < 4; k++) { /* beyond 41 per client, either way, anywhere */
        memcpy(wrong, key_sum, degree * sizeof *wrong);
        wrong[k % 2 ? degree - 1 : 0] = k < 2 ? 41 * 3 + 1 : -41 * 3 - 1;
        assert_int_equal(msfl_round_coordinator_release(c, wrong), MSFL_ERR_CRYPTO);
    }
    wrong[0] = INT32_MIN;
    assert_int_equal(msfl_round_coordinator_release(c, wrong), MSFL_ERR_CRYPTO);
    assert_int_equal(msfl_round_coordinator_release(c, key_sum), MSFL_OK);
    assert_int_equal(msfl_round_coordinator_release(c, key_sum), MSFL_ERR_POLICY);
    assert_int_equal(msfl_round_coordinator_open(c, w.n_chunks, totals), MSFL_ERR_USAGE);
    assert_int_equal(msfl_round_coordinator_open(c, UINT64_MAX, totals), MSFL_ERR_USAGE);
    assert_int_equal(world_upload(&w, c, 3), MSFL_ERR_POLICY);
    world_expect_sum(&w, c, in, 3);
    msfl_round_coordinator_free(c);
    msfl_round_coordinator_free(NULL);
    msfl_free(totals);
    msfl_free(wrong);
    msfl_free(key_sum);
    world_clear(&w);
}

/** A key sum that is plausible but not this cohort's opens nothing: one coefficient off by one is seen. */
static void a_wrong_key_sum_opens_nothing(void **state) {
    (void)state;
    for (int k = 0; k < 3; k++) {
        world w;
        world_make(&w, 3, 3, 16, 30000);
        int32_t *key_sum = world_get(w.info.params.ring_degree, sizeof *key_sum);
        uint64_t *totals = world_get(w.info.n_values, sizeof *totals);
        msfl_round_certificate certificate;
        msfl_round_coordinator *c = NULL;
        assert_int_equal(msfl_round_coordinator_new(w.ctx, &w.info, &c), MSFL_OK);
        for (uint32_t i = 0; i < 3; i++)
            assert_int_equal(world_upload(&w, c, i), MSFL_OK);
        assert_int_equal(msfl_round_coordinator_certify(c, &certificate), MSFL_OK);
        assert_int_equal(world_answer(&w, &certificate, key_sum), MSFL_OK);
        if (k == 0) key_sum[17] += key_sum[17] > 0 ? -1 : 1;
        if (k == 1) memset(key_sum, 0, w.info.params.ring_degree * sizeof *key_sum);
        if (k == 2) key_sum[w.info.params.ring_degree - 1] = 41 * 3;
        assert_int_equal(msfl_round_coordinator_release(c, key_sum), MSFL_OK);
        for (uint64_t j = 0; j < w.n_chunks; j++) {
            memset(totals, 0xff, 64);
            assert_int_equal(msfl_round_coordinator_open(c, j, totals), MSFL_ERR_CRYPTO);
            for (int i = 0; i < 8; i++)
                assert_int_equal(totals[i], 0);
        }
        msfl_round_coordinator_free(c);
        msfl_free(totals);
        msfl_free(key_sum);
        world_clear(&w);
    }
}

/* --- threads --- */

typedef struct uploader {
    pthread_barrier_t *together;
    const world *w;
    msfl_round_coordinator *c;
    uint32_t client;
    msfl_status first, second;
} uploader;

static void *upload_twice(void *arg) {
    uploader *u = arg;
    pthread_barrier_wait(u->together);
    u->first = world_upload(u->w, u->c, u->client);
    u->second = world_upload(u->w, u->c, u->client);
    return NULL;
}

static void *open_one(void *arg) {
    uploader *u = arg;
    uint64_t *totals = malloc(u->w->info.n_values * sizeof *totals);
    u->first = totals == NULL ? MSFL_ERR_MEMORY : msfl_round_coordinator_open(u->c, u->client, totals);
    free(totals);
    return NULL;
}

static void threads_upload_at_once(void **state) {
    (void)state;
    enum { CLIENTS = 6, THREADS = 2 * CLIENTS, REPEATS = 20 };
    world w;
    world_make(&w, CLIENTS, 3, 16, 30000);
    const uint32_t all[] = {0, 1, 2, 3, 4, 5};
    for (int repeat = 0; repeat < REPEATS; repeat++) {
        msfl_round_coordinator *c = NULL;
        w.info.number++;
        for (uint32_t i = 0; i < CLIENTS; i++)
            world_encrypt(&w, i);
        assert_int_equal(msfl_round_coordinator_new(w.ctx, &w.info, &c), MSFL_OK);
        pthread_t threads[THREADS];
        uploader uploaders[THREADS]; /* two threads for every client, let go at once */
        pthread_barrier_t together;
        assert_int_equal(pthread_barrier_init(&together, NULL, THREADS), 0);
        for (int i = 0; i < THREADS; i++) {
            uploaders[i] = (uploader){&together, &w, c, (uint32_t)i / 2, MSFL_OK, MSFL_OK};
            assert_int_equal(pthread_create(&threads[i], NULL, upload_twice, &uploaders[i]), 0);
        }
        for (int i = 0; i < THREADS; i++)
            pthread_join(threads[i], NULL);
        pthread_barrier_destroy(&together);
        for (int i = 0; i < THREADS; i += 2) {
            assert_int_equal((uploaders[i].first == MSFL_OK) + (uploaders[i + 1].first == MSFL_OK), 1);
            assert_int_equal(uploaders[i].first + uploaders[i + 1].first, MSFL_ERR_EXISTS);
            assert_int_equal(uploaders[i].second, MSFL_ERR_EXISTS);
            assert_int_equal(uploaders[i + 1].second, MSFL_ERR_EXISTS);
        }
        world_finish(&w, c, all, CLIENTS);
        for (int i = 0; i < THREADS; i++) {
            uploaders[i] = (uploader){NULL, &w, c, (uint32_t)((uint64_t)i % w.n_chunks), MSFL_ERR_USAGE, MSFL_OK};
            assert_int_equal(pthread_create(&threads[i], NULL, open_one, &uploaders[i]), 0);
        }
        for (int i = 0; i < THREADS; i++) {
            pthread_join(threads[i], NULL);
            assert_int_equal(uploaders[i].first, MSFL_OK);
        }
        msfl_round_coordinator_free(c);
    }
    world_clear(&w);
}

/* --- memory --- */

/** The k-th allocation of the coordinator and the authority fails, for every k: an error or the exact sum, no third. */
static void every_allocation_may_fail(void **state) {
    (void)state;
    world w;
    world_make(&w, 3, 3, 16, 5000);
    int32_t *key_sum = world_get(w.info.params.ring_degree, sizeof *key_sum);
    const uint32_t all[] = {0, 1, 2};
    bool done = false;
    for (long k = 1; !done; k++) {
        assert_true(k < 1000);
        msfl_round_certificate certificate;
        msfl_round_coordinator *c = NULL;
        msfl_authority *authority = NULL;
        /* A fresh authority each time, with this round's key holder replaced before encryption. */
        assert_int_equal(msfl_authority_new(&authority), MSFL_OK);
        msfl_authority_free(w.authority);
        w.authority = authority;
        msfl_authority_public_key(authority, w.info.authority);
        for (uint32_t i = 0; i < 3; i++)
            world_encrypt(&w, i);

        msfl_alloc_fail_at(k);
        msfl_status status = msfl_round_coordinator_new(w.ctx, &w.info, &c);
        for (uint32_t i = 0; i < 3 && status == MSFL_OK; i++)
            status = world_upload(&w, c, i);
        if (status == MSFL_OK) status = msfl_round_coordinator_certify(c, &certificate);
        if (status == MSFL_OK) status = world_answer(&w, &certificate, key_sum);
        if (status == MSFL_OK) status = msfl_round_coordinator_release(c, key_sum);
        if (status == MSFL_OK) {
            uint64_t *totals = malloc(w.info.n_values * sizeof *totals);
            assert_non_null(totals);
            for (uint64_t j = 0; j < w.n_chunks && status == MSFL_OK; j++)
                status = msfl_round_coordinator_open(c, j, totals);
            free(totals);
        }
        msfl_alloc_fail_at(0);
        if (status == MSFL_OK) {
            world_expect_sum(&w, c, all, 3);
            done = k > 1;
        } else {
            assert_int_equal(status, MSFL_ERR_MEMORY);
        }
        msfl_round_coordinator_free(c);
    }
    msfl_free(key_sum);
    world_clear(&w);
}

/** A failed upload for want of memory may be sent again, and the sum is right. */
static void an_upload_may_be_repeated_after_a_memory_failure(void **state) {
    (void)state;
    world w;
    world_make(&w, 3, 3, 16, 5000);
    msfl_round_coordinator *c = NULL;
    assert_int_equal(msfl_round_coordinator_new(w.ctx, &w.info, &c), MSFL_OK);
    const uint32_t all[] = {0, 1, 2};
    for (uint32_t i = 0; i < 3; i++) {
        msfl_alloc_fail_at(1);
        assert_int_equal(world_upload(&w, c, i), MSFL_ERR_MEMORY);
        msfl_alloc_fail_at(0);
        assert_int_equal(world_upload(&w, c, i), MSFL_OK);
    }
    world_finish(&w, c, all, 3);
    msfl_round_coordinator_free(c);
    world_clear(&w);
}

/* --- with the encoding --- */

/** Real updates through the whole round: opened totals equal the sums of the quantised vectors, means keep the bound.
 */
static void updates_travel_through_a_round(void **state) {
    (void)state;
    assert_int_equal(MSFL_UPDATE_CLIENTS_MAX, MSFL_CLIENTS_MAX);
    enum { N = 5, VALUES = 20000, COUNTERS = 2 };
    const msfl_update_range ranges[] = {{500, 0.25f}, {VALUES - 500, 1.0f}};
    msfl_update_layout *layout = NULL;
    assert_int_equal(msfl_update_layout_new(16, COUNTERS, 400, ranges, 2, &layout), MSFL_OK);
    world w;
    world_make(&w, N, 3, 16, msfl_update_slots(layout));
    msfl_update_layout_hash(layout, w.info.layout);
    double *weighted = world_get(VALUES, sizeof *weighted);
    float *values = world_get(VALUES, sizeof *values), *mean = world_get(VALUES, sizeof *mean);
    uint64_t *totals = world_get(w.info.n_values, sizeof *totals), samples = 0, correct = 0;
    msfl_round_coordinator *c = NULL;
    assert_int_equal(msfl_round_coordinator_new(w.ctx, &w.info, &c), MSFL_OK);
    msfl_seeded g;
    msfl_seeded_init(&g, 8, "test.updates", 0, 0, 0);
    for (uint32_t i = 0; i < N; i++) {
        uint64_t n_samples = 100 + 60 * i, counters[] = {n_samples - i};
        for (int v = 0; v < VALUES; v++) {
            values[v] = (float)(2.0 * msfl_seeded_unit(&g) - 1.0) * (v < 500 ? 0.25f : 1.0f);
            weighted[v] += (double)values[v] * (double)n_samples;
        }
        samples += n_samples;
        correct += counters[0];
        const msfl_update_input input = {values, n_samples, counters, i};
        assert_int_equal(msfl_update_check(layout, &input), MSFL_OK);
        msfl_update_encoder *encoder = NULL;
        assert_int_equal(msfl_update_encoder_new(layout, &input, &encoder), MSFL_OK);
        assert_int_equal(msfl_update_quantise(encoder, 0, w.info.n_values, w.slots[i], NULL), MSFL_OK);
        msfl_update_encoder_free(encoder);
        world_encrypt(&w, i);
        assert_int_equal(world_upload(&w, c, i), MSFL_OK);
    }
    const uint32_t all[] = {0, 1, 2, 3, 4};
    world_finish(&w, c, all, N); /* bit for bit the plain sums of the integers */
    msfl_update_decoder *decoder = NULL;
    assert_int_equal(msfl_update_decoder_new(layout, N, &decoder), MSFL_OK);
    uint64_t slot = 0;
    for (uint64_t j = 0; j < w.n_chunks; j++) {
        uint32_t n_slots = msfl_packed_chunk_slots(w.ctx, w.info.n_values, j);
        assert_int_equal(msfl_round_coordinator_open(c, j, totals), MSFL_OK);
        assert_int_equal(msfl_update_decode(decoder, slot, n_slots, totals, mean), MSFL_OK);
        slot += n_slots;
    }
    assert_int_equal(msfl_update_counter(decoder, 0), samples);
    assert_int_equal(msfl_update_counter(decoder, 1), correct);
    for (int v = 0; v < VALUES; v++) {
        double off = (double)mean[v] - weighted[v] / (double)samples;
        assert_true((off < 0 ? -off : off) <= msfl_update_error_bound(layout, v >= 500, N, samples));
    }
    msfl_update_decoder_free(decoder);
    msfl_round_coordinator_free(c);
    msfl_free(totals);
    msfl_free(mean);
    msfl_free(values);
    msfl_free(weighted);
    world_clear(&w);
    msfl_update_layout_free(layout);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_rounds_open_to_the_plain_sum),
        cmocka_unit_test(one_value_is_a_round_too),
        cmocka_unit_test(drop_outs_leave_the_sum_of_the_others),
        cmocka_unit_test(bad_uploads_leave_no_trace),
        cmocka_unit_test(malformed_chunks_are_refused_whole),
        cmocka_unit_test(phases_are_held),
        cmocka_unit_test(a_wrong_key_sum_opens_nothing),
        cmocka_unit_test(threads_upload_at_once),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(an_upload_may_be_repeated_after_a_memory_failure),
        cmocka_unit_test(updates_travel_through_a_round),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
