/* The key holder: one answer per round, for a certified cohort, from bundles that belong there. */
#include "world.h"

#include "round/bundle.h"
#include "round/info.h"

#include <pthread.h>

typedef struct question {
    uint32_t clients[WORLD_CLIENTS_MAX];
    const uint8_t *bundles[WORLD_CLIENTS_MAX];
    uint8_t hashes[WORLD_CLIENTS_MAX][MSFL_HASH_BYTES];
    size_t n;
} question;

static question ask_for(const world *w, const uint32_t *clients, size_t n) {
    question q = {.n = n};
    for (size_t i = 0; i < n; i++) {
        uint32_t from = clients[i] % w->info.n_clients; /* some bundle, also for a client that does not exist */
        q.clients[i] = clients[i];
        q.bundles[i] = w->bundle[from];
        memcpy(q.hashes[i], w->hash[from], MSFL_HASH_BYTES);
    }
    return q;
}

static msfl_status ask(const world *w, const question *q, int32_t *key_sum) {
    return msfl_authority_answer(w->authority, &w->info, q->clients, q->bundles,
                                 (const uint8_t(*)[MSFL_HASH_BYTES])q->hashes, q->n, key_sum);
}

/** Ask, expect this failure and a zeroed answer. */
static void refuse(const world *w, const question *q, msfl_status expected, const char *words) {
    const uint32_t degree = w->info.params.ring_degree;
    int32_t *key_sum = world_get(degree, sizeof *key_sum);
    memset(key_sum, 0x55, degree * sizeof *key_sum);
    msfl_status status = ask(w, q, key_sum);
    if (status != expected) {
        fail_msg("%s instead of %s: %s", msfl_status_name(status), msfl_status_name(expected), msfl_error_message());
    }
    expect_words(words);
    for (uint32_t i = 0; i < degree; i++)
        assert_int_equal(key_sum[i], 0);
    msfl_free(key_sum);
}

/** All uploads anew, for the next round. */
static void next_round(world *w) {
    w->info.number++;
    for (uint32_t i = 0; i < w->info.n_clients; i++)
        world_encrypt(w, i);
}

static const uint32_t all5[] = {0, 1, 2, 3, 4};

static void each_round_is_answered_once(void **state) {
    (void)state;
    world w;
    world_make(&w, 5, 3, 16, 3000);
    int32_t *first = world_get(w.info.params.ring_degree, sizeof *first);
    question q = ask_for(&w, all5, 5);
    assert_int_equal(ask(&w, &q, first), MSFL_OK);
    refuse(&w, &q, MSFL_ERR_POLICY, "round 1 was answered or tried before");
    question fewer = ask_for(&w, all5, 4); /* the difference of two answers would be one client's key */
    refuse(&w, &fewer, MSFL_ERR_POLICY, "answered");
    /* Another round is answered, and then the first is still not. */
    next_round(&w);
    question other = ask_for(&w, all5, 5);
    assert_int_equal(ask(&w, &other, first), MSFL_OK);
    w.info.number = 1;
    refuse(&w, &q, MSFL_ERR_POLICY, "answered");
    msfl_free(first);
    world_clear(&w);
}

/** A failed attempt counts: every way to fail, then the same round with a perfect cohort. */
static void failed_attempts_count(void **state) {
    (void)state;
    world w;
    world_make(&w, 5, 3, 16, 3000);
    static const uint32_t two[] = {0, 1}, unsorted[] = {0, 2, 1}, twice[] = {0, 1, 1}, unknown[] = {0, 1, 5};
    static const uint32_t far[] = {0, 1, UINT32_MAX}, backwards[] = {2, 1, 0};
    static const struct {
        const uint32_t *clients;
        size_t n;
        const char *words;
    } cases[] = {
        {two, 2, "a cohort of 2, at least 3"},
        {two, 0, "a cohort of 0"},
        {two, 1, "a cohort of 1"},
        {unsorted, 3, "client 1 is out of order"},
        {backwards, 3, "client 1 is out of order"},
        {twice, 3, "client 1 is named twice"},
        {unknown, 3, "client 5 is not in the roster"},
        {far, 3, "client 4294967295 is not in the roster"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        question bad = ask_for(&w, cases[i].clients, cases[i].n), good = ask_for(&w, all5, 5);
        refuse(&w, &bad, MSFL_ERR_POLICY, cases[i].words);
        refuse(&w, &good, MSFL_ERR_POLICY, "answered or tried before");
        next_round(&w);
    }
    question crowd = ask_for(&w, all5, 5);
    crowd.n = 6;
    refuse(&w, &crowd, MSFL_ERR_POLICY, "a cohort of 6 from a roster of 5");
    next_round(&w);
    question spoiled = ask_for(&w, all5, 5), good = spoiled;
    spoiled.hashes[3][0] ^= 1;
    refuse(&w, &spoiled, MSFL_ERR_CRYPTO, "client 3: key bundle: made for another ciphertext");
    refuse(&w, &good, MSFL_ERR_POLICY, "answered or tried before");
    world_clear(&w);
}

static void bundles_stay_with_their_owner(void **state) {
    (void)state;
    world w, other;
    world_make(&w, 5, 3, 16, 3000);
    world_make(&other, 5, 3, 16, 3000);
    /* Swapped between two clients, with and without their hashes. */
    question q = ask_for(&w, all5, 5);
    q.bundles[1] = w.bundle[2];
    q.bundles[2] = w.bundle[1];
    refuse(&w, &q, MSFL_ERR_CRYPTO, "client 1: key bundle: made by client 2");
    next_round(&w);
    q = ask_for(&w, all5, 5);
    q.bundles[1] = w.bundle[2];
    memcpy(q.hashes[1], w.hash[2], MSFL_HASH_BYTES);
    refuse(&w, &q, MSFL_ERR_CRYPTO, "client 1: key bundle: made by client 2");
    /* A bundle of the round before. */
    next_round(&w);
    uint8_t *old = world_get(w.bundle_bytes, 1);
    memcpy(old, w.bundle[4], w.bundle_bytes);
    next_round(&w);
    q = ask_for(&w, all5, 5);
    q.bundles[4] = old;
    refuse(&w, &q, MSFL_ERR_CRYPTO, "client 4: key bundle: made for another round");
    msfl_free(old);
    /* Sealed for another authority; a round that names another authority. */
    next_round(&w);
    q = ask_for(&w, all5, 5);
    q.bundles[0] = other.bundle[0];
    refuse(&w, &q, MSFL_ERR_CRYPTO, "client 0: a sealed box was not made for this key");
    q = ask_for(&other, all5, 5);
    msfl_authority *mine = w.authority;
    w.authority = other.authority;
    refuse(&w, &q, MSFL_ERR_CRYPTO, "names the key of another authority");
    w.authority = mine;
    world_clear(&other);
    world_clear(&w);
}

static void every_flipped_bit_is_seen(void **state) {
    (void)state;
    world w;
    world_make(&w, 3, 3, 16, 3000);
    static const uint32_t all[] = {0, 1, 2};
    msfl_seeded g;
    msfl_seeded_init(&g, 6, "test.flip", 0, 0, 0);
    for (int i = 0; i < 200; i++) {
        next_round(&w); /* each attempt burns its round */
        size_t at = i < 130 ? (size_t)i : (size_t)msfl_seeded_below(&g, w.bundle_bytes);
        if (i == 199) at = w.bundle_bytes - 1;
        w.bundle[i % 3][at] ^= (uint8_t)(1u << msfl_seeded_below(&g, 8));
        question q = ask_for(&w, all, 3);
        char words[32];
        snprintf(words, sizeof words, "client %d", i % 3);
        refuse(&w, &q, MSFL_ERR_CRYPTO, words);
    }
    world_clear(&w);
}

static void rounds_that_may_not_be_are_refused(void **state) {
    (void)state;
    world w;
    world_make(&w, 5, 3, 16, 3000);
    int32_t *key_sum = world_get(w.info.params.ring_degree, sizeof *key_sum);
    question q = ask_for(&w, all5, 5);
    const msfl_round_info good = w.info;
    w.info.min_cohort = 1;
    assert_int_equal(ask(&w, &q, key_sum), MSFL_ERR_POLICY);
    expect_words("would open a single client's update");
    w.info.min_cohort = 0;
    assert_int_equal(ask(&w, &q, key_sum), MSFL_ERR_POLICY);
    w.info = good;
    w.info.min_cohort = 6;
    assert_int_equal(ask(&w, &q, key_sum), MSFL_ERR_USAGE);
    w.info = good;
    w.info.n_clients = 0;
    assert_int_equal(ask(&w, &q, key_sum), MSFL_ERR_USAGE);
    w.info.n_clients = 6; /* the parameters hold five */
    assert_int_equal(ask(&w, &q, key_sum), MSFL_ERR_PARAMS);
    w.info = good;
    w.info.n_values = 0;
    assert_int_equal(ask(&w, &q, key_sum), MSFL_ERR_USAGE);
    w.info.n_values = (UINT64_C(1) << 34) + 1;
    assert_int_equal(ask(&w, &q, key_sum), MSFL_ERR_USAGE);
    w.info = good;
    w.info.params.ring_degree = UINT32_MAX;
    assert_int_equal(ask(&w, &q, key_sum), MSFL_ERR_PARAMS);
    w.info = good;
    w.info.params.n_primes = UINT32_MAX;
    assert_int_equal(ask(&w, &q, key_sum), MSFL_ERR_PARAMS);
    /* None of these could ever be answered, so none of them counts as an answer: the round itself still works. */
    w.info = good;
    assert_int_equal(ask(&w, &q, key_sum), MSFL_OK);
    /* A smaller minimum is another round: these bundles are not for it. */
    w.info.min_cohort = 2;
    refuse(&w, &q, MSFL_ERR_CRYPTO, "made for another round");
    msfl_free(key_sum);
    world_clear(&w);
}

static void the_answer_is_the_sum_of_the_keys(void **state) {
    (void)state;
    world w;
    world_make(&w, 4, 2, 16, 3000);
    const uint32_t degree = w.info.params.ring_degree;
    int32_t *key_sum = world_get(degree, sizeof *key_sum), *expected = world_get(degree, sizeof *expected);
    int32_t *key = world_get(degree, sizeof *key);
    msfl_bundle_binding binding = {.ring_degree = degree};
    msfl_round_id(&w.info, binding.round_id);
    /* Bundles of keys that are known here, with both extremes. */
    msfl_seeded g;
    msfl_seeded_init(&g, 7, "test.keys", 0, 0, 0);
    for (uint32_t i = 0; i < 4; i++) {
        for (uint32_t k = 0; k < degree; k++) {
            key[k] = k == 0 ? 41 : k == 1 ? -41 : (int32_t)msfl_seeded_below(&g, 83) - 41;
            expected[k] += key[k];
        }
        binding.client = i;
        memset(binding.ciphertext_hash, (int)i, MSFL_HASH_BYTES);
        memcpy(w.hash[i], binding.ciphertext_hash, MSFL_HASH_BYTES);
        assert_int_equal(msfl_bundle_seal(&binding, key, w.info.authority, w.bundle[i]), MSFL_OK);
    }
    question q = ask_for(&w, all5, 4);
    assert_int_equal(ask(&w, &q, key_sum), MSFL_OK);
    assert_memory_equal(key_sum, expected, degree * sizeof *key_sum);
    assert_int_equal(expected[0], 164);
    msfl_free(key);
    msfl_free(expected);
    msfl_free(key_sum);
    world_clear(&w);
}

static void a_bundle_holds_only_small_integers(void **state) {
    (void)state;
    enum { N = 1024 };
    msfl_bundle_binding binding = {.client = 3, .ring_degree = N};
    const size_t length = msfl_bundle_plain_bytes(N);
    assert_int_equal(length, 80 + 896);
    uint8_t *plain = world_get(length, 1);
    int32_t sum[N] = {0};
    /* By hand: magic, version 1, N, client 3, hashes of zeros, every coefficient 0, that is 41 in seven bits. */
    memcpy(plain, "MSBB\x01\0\0\0\0\x04\0\0\x03\0\0", 16);
    for (size_t bit = 0; bit < (size_t)7 * N; bit++) {
        if (41u >> bit % 7 & 1) plain[80 + bit / 8] |= (uint8_t)(1u << bit % 8);
    }
    assert_int_equal(msfl_bundle_add(&binding, plain, length, sum), MSFL_OK);
    for (int i = 0; i < N; i++)
        assert_int_equal(sum[i], 0);
    for (int i = 0; i < N; i += 111) { /* 83 is one too many, anywhere */
        uint8_t saved[2] = {plain[80 + 7 * i / 8], plain[81 + 7 * i / 8]};
        for (int b = 0; b < 7; b++) {
            int at = 7 * i + b;
            plain[80 + at / 8] = (uint8_t)((plain[80 + at / 8] & ~(1u << at % 8)) | (83u >> b & 1) << at % 8);
        }
        assert_int_equal(msfl_bundle_add(&binding, plain, length, sum), MSFL_ERR_CRYPTO);
        expect_words("beyond 41");
        memcpy(plain + 80 + 7 * i / 8, saved, 2);
    }
    for (int i = 0; i < N; i++)
        assert_int_equal(sum[i], 0);
    assert_int_equal(msfl_bundle_add(&binding, plain, length - 1, sum), MSFL_ERR_CRYPTO);
    assert_int_equal(msfl_bundle_add(&binding, plain, 0, sum), MSFL_ERR_CRYPTO);
    for (size_t at = 0; at < 80; at++) { /* every header byte is checked */
        plain[at] ^= 1;
        assert_int_equal(msfl_bundle_add(&binding, plain, length, sum), MSFL_ERR_CRYPTO);
        plain[at] ^= 1;
    }
    msfl_free(plain);
}

/* --- threads: many ask for one round, one is answered --- */

typedef struct asker {
    const world *w;
    const question *q;
    int32_t *key_sum;
    msfl_status status;
} asker;

static void *ask_it(void *arg) {
    asker *a = arg;
    a->status = ask(a->w, a->q, a->key_sum);
    return NULL;
}

static void one_of_many_askers_is_answered(void **state) {
    (void)state;
    enum { THREADS = 8 };
    world w;
    world_make(&w, 5, 3, 16, 3000);
    question q = ask_for(&w, all5, 5);
    pthread_t threads[THREADS];
    asker askers[THREADS];
    for (int i = 0; i < THREADS; i++) {
        askers[i] = (asker){&w, &q, world_get(w.info.params.ring_degree, sizeof(int32_t)), MSFL_OK};
        assert_int_equal(pthread_create(&threads[i], NULL, ask_it, &askers[i]), 0);
    }
    int answered = 0;
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        answered += askers[i].status == MSFL_OK;
        assert_true(askers[i].status == MSFL_OK || askers[i].status == MSFL_ERR_POLICY);
        msfl_free(askers[i].key_sum);
    }
    assert_int_equal(answered, 1);
    world_clear(&w);
}

static void every_allocation_may_fail(void **state) {
    (void)state;
    for (long k = 1;; k++) {
        msfl_authority *authority = NULL;
        msfl_alloc_fail_at(k);
        msfl_status status = msfl_authority_new(&authority);
        msfl_alloc_fail_at(0);
        if (status == MSFL_OK) {
            msfl_authority_free(authority);
            assert_true(k > 1);
            break;
        }
        assert_int_equal(status, MSFL_ERR_MEMORY);
        assert_null(authority);
    }
    msfl_authority_free(NULL);
    /* No room to remember the round: nothing is opened, and the round may be asked again. */
    world w;
    world_make(&w, 5, 3, 16, 3000);
    question q = ask_for(&w, all5, 5);
    int32_t *key_sum = world_get(w.info.params.ring_degree, sizeof *key_sum);
    msfl_status status = MSFL_ERR_MEMORY;
    for (long k = 1; status != MSFL_OK; k++) {
        assert_true(k < 100);
        msfl_alloc_fail_at(k);
        status = ask(&w, &q, key_sum);
        msfl_alloc_fail_at(0);
        assert_true(status == MSFL_OK || status == MSFL_ERR_MEMORY);
    }
    msfl_free(key_sum);
    world_clear(&w);
}

/** The memory of answered rounds is bounded, and full means no: no round is ever forgotten. */
static void a_full_memory_refuses(void **state) {
    (void)state;
    world w;
    world_make(&w, 3, 3, 16, 100);
    static const uint32_t two[] = {0, 1}, all[] = {0, 1, 2};
    question bad = ask_for(&w, two, 2), good = ask_for(&w, all, 3);
    int32_t *key_sum = world_get(w.info.params.ring_degree, sizeof *key_sum);
    for (uint64_t number = 1; number <= MSFL_AUTHORITY_ROUNDS_MAX; number++) {
        w.info.number = number;
        if (ask(&w, &bad, key_sum) != MSFL_ERR_POLICY) fail_msg("round %u: %s", (unsigned)number, msfl_error_message());
    }
    w.info.number = 70000;
    assert_int_equal(ask(&w, &good, key_sum), MSFL_ERR_LIMIT);
    w.info.number = 1;
    refuse(&w, &good, MSFL_ERR_POLICY, "answered or tried before");
    w.info.number = MSFL_AUTHORITY_ROUNDS_MAX;
    refuse(&w, &good, MSFL_ERR_POLICY, "answered or tried before");
    msfl_free(key_sum);
    world_clear(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_round_is_answered_once),        cmocka_unit_test(failed_attempts_count),
        cmocka_unit_test(bundles_stay_with_their_owner),      cmocka_unit_test(every_flipped_bit_is_seen),
        cmocka_unit_test(rounds_that_may_not_be_are_refused), cmocka_unit_test(the_answer_is_the_sum_of_the_keys),
        cmocka_unit_test(a_bundle_holds_only_small_integers), cmocka_unit_test(one_of_many_askers_is_answered),
        cmocka_unit_test(every_allocation_may_fail),          cmocka_unit_test(a_full_memory_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
