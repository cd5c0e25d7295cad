/* Sessions in the hands of many threads: every client uploads from several at once while another wants to close.
 * Whoever was told that its update is in is in the sum, once, and nobody else. For the thread sanitizer above all. */
#include "base/error.h"
#include "base/mem.h"
#include "medsecurefl/scheme.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { CLIENTS = 5, BITS = 16, THREADS = 3 * CLIENTS };

typedef struct world {
    msfl_setup *setup;
    msfl_session *session;
    msfl_scheme_facts facts;
    atomic_uint in[CLIENTS]; /* uploads that were accepted */
    atomic_bool closed, wrong;
    pthread_barrier_t start;
} world;

typedef struct work {
    world *w;
    uint32_t number;
} work;

static uint32_t value_of(uint32_t client, uint64_t i) {
    return (uint32_t)(i * 2654435761u + client * 40503u) & ((1u << BITS) - 1);
}

static bool is_refusal(msfl_status status) {
    return status == MSFL_ERR_EXISTS || status == MSFL_ERR_POLICY;
}

static msfl_status encrypt_and_upload(world *w, uint32_t client) {
    msfl_sender *sender;
    uint8_t *upload = msfl_alloc(w->facts.upload_bytes, 1), *trailer = msfl_alloc(w->facts.trailer_bytes + 1, 1);
    uint32_t *values = msfl_alloc(msfl_setup_chunk_values(w->setup, 0), sizeof *values);
    msfl_status status = msfl_sender_new(w->session, client, &sender);
    size_t at = 0;
    uint64_t first = 0;
    for (uint64_t j = 0; status == MSFL_OK && j < msfl_setup_chunks(w->setup); j++) {
        uint32_t n = msfl_setup_chunk_values(w->setup, j);
        for (uint32_t i = 0; i < n; i++)
            values[i] = value_of(client, first + i);
        status = msfl_sender_encrypt(sender, j, values, upload + at);
        at += msfl_setup_chunk_bytes(w->setup, j);
        first += n;
    }
    if (status == MSFL_OK) status = msfl_sender_finish(sender, trailer);
    if (status == MSFL_OK) {
        status =
            msfl_session_upload(w->session, client, upload, w->facts.upload_bytes, trailer, w->facts.trailer_bytes);
    }
    msfl_sender_free(sender);
    msfl_free(upload);
    msfl_free(trailer);
    msfl_free(values);
    return status;
}

static void *work_on(void *argument) {
    const work *job = argument;
    world *w = job->w;
    uint32_t client = job->number % CLIENTS;
    pthread_barrier_wait(&w->start);
    for (int k = 0; k < 3; k++) {
        msfl_status status = encrypt_and_upload(w, client);
        if (status == MSFL_OK) {
            atomic_fetch_add(&w->in[client], 1);
        } else if (!is_refusal(status)) {
            atomic_store(&w->wrong, true);
        }
    }
    return NULL;
}

static void *close_when_possible(void *argument) {
    world *w = argument;
    pthread_barrier_wait(&w->start);
    for (int k = 0; k < 1000000; k++) {
        msfl_status status = msfl_session_close(w->session);
        if (status == MSFL_OK) {
            atomic_store(&w->closed, true);
            return NULL;
        }
        if (status != MSFL_ERR_POLICY) atomic_store(&w->wrong, true);
        sched_yield();
    }
    return NULL;
}

static void once(msfl_setup *setup, msfl_keys *keys, uint64_t number) {

    world w = {.setup = setup};
    const msfl_session_info info = {.number = number};
    pthread_t threads[THREADS], closer;
    work jobs[THREADS];
    assert_int_equal(msfl_session_new(setup, keys, &info, &w.session), MSFL_OK);
    msfl_setup_facts(setup, &w.facts);
    assert_int_equal(pthread_barrier_init(&w.start, NULL, THREADS + 1), 0);
    for (uint32_t i = 0; i < THREADS; i++) {
        jobs[i] = (work){&w, i};
        assert_int_equal(pthread_create(&threads[i], NULL, work_on, &jobs[i]), 0);
    }
    assert_int_equal(pthread_create(&closer, NULL, close_when_possible, &w), 0);
    for (uint32_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(pthread_join(closer, NULL), 0);
    pthread_barrier_destroy(&w.start);
    assert_true(atomic_load(&w.closed));
    assert_false(atomic_load(&w.wrong));
    uint32_t n_in = 0;
    for (uint32_t c = 0; c < CLIENTS; c++) {
        assert_in_range(atomic_load(&w.in[c]), 0, 1);
        n_in += atomic_load(&w.in[c]);
    }
    assert_in_range(n_in, 3, CLIENTS);
    assert_int_equal(msfl_session_cohort(w.session), n_in);
    uint64_t *totals = msfl_alloc(msfl_setup_chunk_values(setup, 0), sizeof *totals), first = 0;
    for (uint64_t j = 0; j < msfl_setup_chunks(setup); j++) {
        uint32_t n = msfl_setup_chunk_values(setup, j);
        assert_int_equal(msfl_session_open(w.session, j, totals), MSFL_OK);
        for (uint32_t i = 0; i < n; i++) {
            uint64_t expected = 0;
            for (uint32_t c = 0; c < CLIENTS; c++)
                expected += atomic_load(&w.in[c]) * (uint64_t)value_of(c, first + i);
            assert_int_equal(totals[i], expected);
        }
        first += n;
    }
    msfl_free(totals);
    msfl_session_free(w.session);
}

static void uploads_from_everywhere(void **state) {
    (void)state;
    for (const msfl_scheme *const *s = msfl_schemes(); *s != NULL; s++) {
        bool is_slow = strcmp(msfl_scheme_name(*s), "paillier") == 0;
        const msfl_scheme_request request = {.n_clients = CLIENTS,
                                             .min_cohort = 3,
                                             .value_bits = BITS,
                                             .n_values = is_slow ? 50 : 5000,
                                             .security_bits = is_slow ? 112 : 128};
        msfl_setup *setup;
        msfl_keys *keys;
        assert_int_equal(msfl_setup_new(*s, &request, &setup), MSFL_OK);
        assert_int_equal(msfl_keys_new(setup, &keys), MSFL_OK);
        for (uint64_t number = 0; number < 6; number++)
            once(setup, keys, number);
        msfl_keys_free(keys);
        msfl_setup_free(setup);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(uploads_from_everywhere)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
