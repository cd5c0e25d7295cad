/* Every scheme of the registry is held to one contract. */
#include "base/mem.h"
#include "base/sodium.h"
#include "medsecurefl/scheme.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { CLIENTS = 5, BITS = 16 };

/** Some values, the largest among them. */
static uint32_t value_of(uint32_t client, uint64_t i) {
    return i % 97 == 0 ? (1u << BITS) - 1 : (uint32_t)(i * 2654435761u + client * 40503u) & ((1u << BITS) - 1);
}

static msfl_delivery delivery; /* of the requests; 0: the default */

static msfl_scheme_request request_of(uint64_t n_values) {
    return (msfl_scheme_request){
        .n_clients = CLIENTS, .min_cohort = 3, .value_bits = BITS, .n_values = n_values, .delivery = delivery};
}

static bool slow(const msfl_scheme *s) {
    return strcmp(msfl_scheme_name(s), "paillier") == 0;
}

typedef struct world {
    msfl_setup *setup;
    msfl_keys *keys;
    msfl_session *session;
    msfl_scheme_facts facts;
    uint8_t *upload, *trailer;
    uint32_t *values;
    uint64_t *totals;
} world;

static const msfl_session_info one_info = {.number = 7};

static void world_open(world *w, const msfl_scheme *s, uint64_t n_values) {
    msfl_scheme_request r = request_of(n_values);
    if (slow(s)) r.security_bits = 112; /* a key of 2048 bits is made in a third of the time */
    assert_int_equal(msfl_setup_new(s, &r, &w->setup), MSFL_OK);
    assert_int_equal(msfl_keys_new(w->setup, &w->keys), MSFL_OK);
    assert_int_equal(msfl_session_new(w->setup, w->keys, &one_info, &w->session), MSFL_OK);
    msfl_setup_facts(w->setup, &w->facts);
    w->upload = msfl_alloc(w->facts.upload_bytes, 1);
    w->trailer = msfl_alloc(w->facts.trailer_bytes + 1, 1);
    w->values = msfl_alloc(n_values, sizeof *w->values);
    w->totals = msfl_alloc(n_values, sizeof *w->totals);
}

static void world_close(world *w) {
    msfl_session_free(w->session);
    msfl_keys_free(w->keys);
    msfl_setup_free(w->setup);
    msfl_free(w->upload);
    msfl_free(w->trailer);
    msfl_free(w->values);
    msfl_free(w->totals);
    memset(w, 0, sizeof *w);
}

/** A client's whole upload in w->upload and w->trailer. */
static void encrypt_all(world *w, uint32_t client) {
    msfl_sender *sender;
    assert_int_equal(msfl_sender_new(w->session, client, &sender), MSFL_OK);
    size_t at = 0;
    uint64_t first = 0;
    for (uint64_t j = 0; j < msfl_setup_chunks(w->setup); j++) {
        uint32_t n = msfl_setup_chunk_values(w->setup, j);
        for (uint32_t i = 0; i < n; i++)
            w->values[i] = value_of(client, first + i);
        assert_int_equal(msfl_sender_encrypt(sender, j, w->values, w->upload + at), MSFL_OK);
        at += msfl_setup_chunk_bytes(w->setup, j);
        first += n;
    }
    assert_int_equal(at, w->facts.upload_bytes);
    assert_int_equal(msfl_sender_finish(sender, w->trailer), MSFL_OK);
    msfl_sender_free(sender);
}

static msfl_status upload(world *w, uint32_t client) {
    return msfl_session_upload(w->session, client, w->upload, w->facts.upload_bytes, w->trailer,
                               w->facts.trailer_bytes);
}

/** Every total is the sum over the clients in `mask`. */
static void expect_totals(world *w, uint32_t mask) {
    uint64_t first = 0;
    for (uint64_t j = 0; j < msfl_setup_chunks(w->setup); j++) {
        uint32_t n = msfl_setup_chunk_values(w->setup, j);
        assert_int_equal(msfl_session_open(w->session, j, w->totals), MSFL_OK);
        for (uint32_t i = 0; i < n; i++) {
            uint64_t expected = 0;
            for (uint32_t c = 0; c < CLIENTS; c++)
                expected += (mask >> c & 1) != 0 ? value_of(c, first + i) : 0;
            assert_int_equal(w->totals[i], expected);
        }
        first += n;
    }
    assert_int_equal(first, msfl_setup_request(w->setup)->n_values);
}

static void test_sums(void **state) {
    (void)state;
    for (const msfl_scheme *const *s = msfl_schemes(); *s != NULL; s++) {
        const uint64_t sizes[] = {1, slow(*s) ? 7 : 4000, slow(*s) ? 500 : 300001};
        for (size_t k = 0; k < 3; k++) {
            world w;
            world_open(&w, *s, sizes[k]);
            for (uint32_t c = 0; c < CLIENTS; c++) {
                encrypt_all(&w, c);
                assert_int_equal(upload(&w, c), MSFL_OK);
            }
            assert_int_equal(msfl_session_close(w.session), MSFL_OK);
            assert_int_equal(msfl_session_cohort(w.session), CLIENTS);
            expect_totals(&w, (1u << CLIENTS) - 1);
            world_close(&w);
        }
    }
}

/* Two clients drop out, one of them after it has encrypted. */
static void test_drop_outs(void **state) {
    (void)state;
    for (const msfl_scheme *const *s = msfl_schemes(); *s != NULL; s++) {
        world w;
        world_open(&w, *s, slow(*s) ? 500 : 5000);
        encrypt_all(&w, 1);
        for (uint32_t c = 0; c < CLIENTS; c += 2) {
            encrypt_all(&w, c);
            assert_int_equal(upload(&w, c), MSFL_OK);
        }
        assert_int_equal(msfl_session_close(w.session), MSFL_OK);
        assert_int_equal(msfl_session_cohort(w.session), 3);
        expect_totals(&w, 0x15);
        world_close(&w);
    }
}

static void test_too_few(void **state) {
    (void)state;
    for (const msfl_scheme *const *s = msfl_schemes(); *s != NULL; s++) {
        world w;
        world_open(&w, *s, 100);
        for (uint32_t c = 0; c < 2; c++) {
            encrypt_all(&w, c);
            assert_int_equal(upload(&w, c), MSFL_OK);
        }
        assert_int_equal(msfl_session_close(w.session), MSFL_ERR_POLICY);
        assert_int_equal(msfl_session_open(w.session, 0, w.totals), MSFL_ERR_POLICY);
        /* Still open: the third one makes it. */
        encrypt_all(&w, 4);
        assert_int_equal(upload(&w, 4), MSFL_OK);
        assert_int_equal(msfl_session_close(w.session), MSFL_OK);
        assert_int_equal(msfl_session_close(w.session), MSFL_ERR_POLICY);
        expect_totals(&w, 0x13);
        encrypt_all(&w, 3);
        assert_int_not_equal(upload(&w, 3), MSFL_OK);
        expect_totals(&w, 0x13);
        world_close(&w);
    }
}

/* Bad uploads leave no trace. */
static void test_bad_uploads(void **state) {
    (void)state;
    for (const msfl_scheme *const *s = msfl_schemes(); *s != NULL; s++) {
        world w;
        world_open(&w, *s, slow(*s) ? 3000 : 30000);
        for (uint32_t c = 0; c < 3; c++) {
            encrypt_all(&w, c);
            assert_int_equal(upload(&w, c), MSFL_OK);
            assert_int_not_equal(upload(&w, c), MSFL_OK); /* twice */
        }
        encrypt_all(&w, 3);
        size_t n = w.facts.upload_bytes;
        assert_int_equal(msfl_session_upload(w.session, 3, w.upload, n - 1, w.trailer, w.facts.trailer_bytes),
                         MSFL_ERR_FORMAT);
        assert_int_equal(msfl_session_upload(w.session, CLIENTS, w.upload, n, w.trailer, w.facts.trailer_bytes),
                         MSFL_ERR_POLICY);
        /* The header of the last chunk, where there is one; packed finds any change by its hash. */
        uint8_t *last = w.upload + n - msfl_setup_chunk_bytes(w.setup, msfl_setup_chunks(w.setup) - 1);
        if (strcmp(msfl_scheme_name(*s), "pairwise") == 0) last = w.upload;
        for (size_t k = 0; k < 8; k++) {
            last[k] ^= 1;
            assert_int_not_equal(upload(&w, 3), MSFL_OK);
            last[k] ^= 1;
        }
        assert_int_equal(upload(&w, 3), MSFL_OK);
        assert_int_equal(msfl_session_close(w.session), MSFL_OK);
        expect_totals(&w, 0xf);
        world_close(&w);
    }
}

static void test_senders(void **state) {
    (void)state;
    for (const msfl_scheme *const *s = msfl_schemes(); *s != NULL; s++) {
        world w;
        world_open(&w, *s, slow(*s) ? 8000 : 70000);
        msfl_sender *sender;
        assert_int_equal(msfl_sender_new(w.session, CLIENTS, &sender), MSFL_ERR_USAGE);
        assert_null(sender);
        assert_int_equal(msfl_sender_new(w.session, 0, &sender), MSFL_OK);
        assert_int_equal(msfl_sender_finish(sender, w.trailer), MSFL_ERR_USAGE);
        w.values[0] = 1u << BITS;
        assert_int_equal(msfl_sender_encrypt(sender, 0, w.values, w.upload), MSFL_ERR_NUMERIC);
        w.values[0] = 0;
        if (msfl_setup_chunks(w.setup) > 1) {
            assert_int_equal(msfl_sender_encrypt(sender, 1, w.values, w.upload), MSFL_ERR_USAGE);
        }
        assert_int_equal(msfl_sender_encrypt(sender, 0, w.values, w.upload), MSFL_OK);
        if (msfl_setup_chunks(w.setup) > 1) {
            assert_int_equal(msfl_sender_encrypt(sender, 0, w.values, w.upload), MSFL_ERR_POLICY);
        }
        msfl_sender_free(sender);
        world_close(&w);
    }
}

/* An upload for one session is refused by the next. */
static void test_sessions_do_not_mix(void **state) {
    (void)state;
    for (const msfl_scheme *const *s = msfl_schemes(); *s != NULL; s++) {
        world w;
        world_open(&w, *s, slow(*s) ? 300 : 3000);
        encrypt_all(&w, 0);
        const msfl_session_info other = {.number = 8};
        msfl_session *next;
        assert_int_equal(msfl_session_new(w.setup, w.keys, &other, &next), MSFL_OK);
        assert_int_not_equal(
            msfl_session_upload(next, 0, w.upload, w.facts.upload_bytes, w.trailer, w.facts.trailer_bytes), MSFL_OK);
        msfl_session_free(next);
        assert_int_equal(upload(&w, 0), MSFL_OK);
        world_close(&w);
    }
}

/** The sum is opened by the clients: those that sent, one that began and did not end, one that never came. */
static void test_delivery_to_clients(void **state) {
    (void)state;
    const uint64_t sizes[] = {1, 4000, 300001};
    for (size_t k = 0; k < 3; k++) {
        world w;
        delivery = MSFL_DELIVERY_CLIENTS;
        world_open(&w, msfl_schemes()[0], sizes[k]);
        delivery = 0;
        assert_string_equal(msfl_scheme_name(msfl_schemes()[0]), "packed");
        assert_true(w.facts.delivery_bytes > w.facts.upload_bytes);
        for (uint32_t c = 0; c < 3; c++) {
            encrypt_all(&w, c);
            if (k != 2 || c != 1) assert_int_equal(upload(&w, c), MSFL_OK);
        }
        msfl_sender *sender;
        assert_int_equal(msfl_sender_new(w.session, 3, &sender), MSFL_OK);
        msfl_sender_free(sender);
        if (k == 2) {
            assert_int_equal(msfl_session_close(w.session), MSFL_ERR_POLICY);
            assert_int_equal(upload(&w, 2), MSFL_ERR_EXISTS);
            encrypt_all(&w, 4);
            assert_int_equal(upload(&w, 4), MSFL_OK);
        }
        assert_int_equal(msfl_session_close(w.session), MSFL_OK);
        assert_int_equal(msfl_session_cohort(w.session), 3);
        expect_totals(&w, k == 2 ? 1 | 4 | 16 : 7);
        world_close(&w);
    }
    for (const msfl_scheme *const *s = msfl_schemes(); *s != NULL; s++) {
        msfl_setup *setup;
        msfl_scheme_request r = request_of(1000);
        r.delivery = MSFL_DELIVERY_CLIENTS;
        r.custody = MSFL_CUSTODY_AUTHORITY;
        const bool packed = strcmp(msfl_scheme_name(*s), "packed") == 0;
        assert_int_equal(msfl_setup_new(*s, &r, &setup), packed ? MSFL_ERR_USAGE : MSFL_ERR_UNSUPPORTED);
    }
}

static void test_requests(void **state) {
    (void)state;
    for (const msfl_scheme *const *s = msfl_schemes(); *s != NULL; s++) {
        const msfl_scheme_request good = request_of(1000);
        msfl_setup *setup;
        for (int k = 0; k < 7; k++) {
            msfl_scheme_request r = good;
            if (k == 0) r.n_clients = 0;
            if (k == 1) r.n_clients = MSFL_CLIENTS_MAX + 1;
            if (k == 2) r.min_cohort = 0;
            if (k == 3) r.min_cohort = CLIENTS + 1;
            if (k == 4) r.value_bits = 1;
            if (k == 5) r.n_values = 0;
            if (k == 6) r.value_bits = 33;
            assert_int_equal(msfl_setup_new(*s, &r, &setup), MSFL_ERR_USAGE);
            assert_null(setup);
        }
        assert_int_equal(msfl_setup_new(*s, &good, &setup), MSFL_OK);
        assert_int_equal(msfl_setup_request(setup)->security_bits, 128);
        assert_ptr_equal(msfl_setup_scheme(setup), *s);
        msfl_scheme_facts f;
        msfl_setup_facts(setup, &f);
        assert_true(f.n_chunks >= 1 && f.upload_bytes >= 2000 && f.parameters[0] != 0);
        assert_true((msfl_scheme_traits(*s) & MSFL_SCHEME_ENCRYPTS) == 0 || f.security_bits >= 128);
        assert_true(f.log2_failure < -128);
        assert_int_equal(msfl_setup_chunk_values(setup, f.n_chunks), 0);
        assert_int_equal(msfl_setup_chunk_bytes(setup, f.n_chunks), 0);
        msfl_setup_free(setup);
    }
}

static void test_names(void **state) {
    (void)state;
    const msfl_scheme *s;
    for (const msfl_scheme *const *all = msfl_schemes(); *all != NULL; all++) {
        assert_int_equal(msfl_scheme_find(msfl_scheme_name(*all), &s), MSFL_OK);
        assert_ptr_equal(s, *all);
        assert_true(strlen(msfl_scheme_summary(s)) > 10 && strlen(msfl_scheme_trust(s)) > 10);
    }
    assert_int_equal(msfl_scheme_find("plain", &s), MSFL_OK);
    assert_int_equal(msfl_scheme_traits(s), 0);
    assert_int_equal(msfl_scheme_find("rot13", &s), MSFL_ERR_USAGE);
    assert_null(s);
    assert_non_null(strstr(msfl_error_message(), "packed, bfv"));
}

/* --- key pairs --- */

static uint8_t *written(const msfl_keys *keys, msfl_key_part part, size_t *length) {
    *length = msfl_keys_bytes(keys, part);
    assert_true(*length > 0);
    uint8_t *bytes = msfl_alloc(*length, 1);
    assert_int_equal(msfl_keys_write(keys, part, bytes), MSFL_OK);
    return bytes;
}

/** The part of `keys`, read at another place for vectors of n_values. */
static msfl_keys *elsewhere(const msfl_keys *keys, const msfl_setup *from, msfl_key_part part, uint64_t n_values,
                            msfl_setup **setup) {
    size_t adder_length, length;
    uint8_t *adder = written(keys, MSFL_KEY_ADDER, &adder_length), *bytes = written(keys, part, &length);
    assert_true(adder_length <= MSFL_KEY_ADDER_BYTES_MAX);
    msfl_scheme_request r = *msfl_setup_request(from);
    r.n_values = n_values;
    msfl_keys *read;
    assert_int_equal(msfl_pair_setup(msfl_setup_scheme(from), &r, adder, adder_length, setup), MSFL_OK);
    assert_int_equal(msfl_keys_read(*setup, part, bytes, length, &read), MSFL_OK);
    uint8_t a[MSFL_KEY_ID_BYTES], b[MSFL_KEY_ID_BYTES];
    msfl_keys_id(keys, a);
    msfl_keys_id(read, b);
    assert_memory_equal(a, b, sizeof a);
    assert_true(msfl_keys_has(read, part) && msfl_keys_has(read, MSFL_KEY_ADDER));
    msfl_free(adder);
    msfl_free(bytes);
    return read;
}

/* Public key, adder and secret key each at a place of their own. */
static void test_key_pair_parts(void **state) {
    (void)state;
    const uint8_t label[MSFL_HASH_BYTES] = {1}, other_label[MSFL_HASH_BYTES] = {2};
    for (const msfl_scheme *const *s = msfl_schemes(); *s != NULL; s++) {
        if ((msfl_scheme_traits(*s) & MSFL_SCHEME_KEY_PAIR) == 0) continue;
        const uint64_t n = slow(*s) ? 1000 : 90000;
        msfl_scheme_request r = request_of(1000000);
        r.min_cohort = 1;
        if (slow(*s)) r.security_bits = 112;
        msfl_setup *made, *at_client, *at_adder, *at_holder;
        msfl_keys *keys;
        assert_int_equal(msfl_setup_new(*s, &r, &made), MSFL_OK);
        assert_int_equal(msfl_keys_new(made, &keys), MSFL_OK);
        msfl_keys *public = elsewhere(keys, made, MSFL_KEY_PUBLIC, n, &at_client);
        msfl_keys *adder = elsewhere(keys, made, MSFL_KEY_ADDER, n, &at_adder);
        msfl_keys *secret = elsewhere(keys, made, MSFL_KEY_SECRET, n, &at_holder);
        assert_false(msfl_keys_has(public, MSFL_KEY_SECRET));
        assert_false(msfl_keys_has(adder, MSFL_KEY_PUBLIC) || msfl_keys_has(adder, MSFL_KEY_SECRET));
        uint64_t j = msfl_setup_chunks(at_client) - 1;
        size_t length = msfl_setup_chunk_bytes(at_client, j);
        uint32_t values = msfl_setup_chunk_values(at_client, j), addends;
        uint8_t *acc = msfl_alloc(length, 1), *chunk = msfl_alloc(length, 1), *before = msfl_alloc(length, 1);
        uint32_t *x = msfl_alloc(values, sizeof *x);
        uint64_t *totals = msfl_alloc(values, sizeof *totals);
        for (uint32_t c = 0; c < CLIENTS; c++) {
            for (uint32_t i = 0; i < values; i++)
                x[i] = value_of(c, i);
            assert_int_equal(msfl_pair_encrypt(adder, label, j, x, chunk), MSFL_ERR_USAGE);
            assert_int_equal(msfl_pair_encrypt(public, label, j, x, c == 0 ? acc : chunk), MSFL_OK);
            if (c > 0) assert_int_equal(msfl_pair_add(adder, label, j, acc, chunk, length), MSFL_OK);
            assert_int_equal(msfl_pair_check(adder, label, j, acc, length, &addends), MSFL_OK);
            assert_int_equal(addends, c + 1);
        }
        memcpy(before, acc, length);
        assert_int_equal(msfl_pair_add(adder, label, j, acc, chunk, length), MSFL_ERR_LIMIT);
        assert_int_equal(msfl_pair_check(adder, other_label, j, chunk, length, NULL), MSFL_ERR_MISMATCH);
        assert_int_not_equal(msfl_pair_add(adder, other_label, j, acc, chunk, length), MSFL_OK);
        assert_int_equal(msfl_pair_check(adder, label, j, chunk, length - 1, NULL), MSFL_ERR_FORMAT);
        assert_memory_equal(acc, before, length);
        assert_int_equal(msfl_pair_decrypt(public, label, j, acc, length, &addends, totals), MSFL_ERR_USAGE);
        assert_int_equal(msfl_pair_decrypt(secret, label, j, acc, length, &addends, totals), MSFL_OK);
        assert_int_equal(addends, CLIENTS);
        for (uint32_t i = 0; i < values; i++) {
            uint64_t expected = 0;
            for (uint32_t c = 0; c < CLIENTS; c++)
                expected += value_of(c, i);
            assert_int_equal(totals[i], expected);
        }
        /* Another key pair of the same parameters. */
        msfl_keys *stranger;
        assert_int_equal(msfl_keys_new(at_holder, &stranger), MSFL_OK);
        assert_int_equal(msfl_pair_decrypt(stranger, label, j, acc, length, &addends, totals), MSFL_ERR_MISMATCH);
        assert_int_equal(msfl_pair_check(stranger, label, j, chunk, length, NULL), MSFL_ERR_MISMATCH);
        assert_int_equal(addends, 0);
        for (uint32_t i = 0; i < values; i++)
            assert_int_equal(totals[i], 0);
        msfl_keys_free(stranger);
        /* One part where another is needed. */
        size_t part_length;
        uint8_t *part = written(keys, MSFL_KEY_PUBLIC, &part_length);
        msfl_keys *wrong;
        assert_int_not_equal(msfl_keys_read(at_holder, MSFL_KEY_SECRET, part, part_length, &wrong), MSFL_OK);
        assert_null(wrong);
        msfl_free(part);
        msfl_free(acc);
        msfl_free(chunk);
        msfl_free(before);
        msfl_free(x);
        msfl_free(totals);
        msfl_keys_free(public);
        msfl_keys_free(adder);
        msfl_keys_free(secret);
        msfl_keys_free(keys);
        msfl_setup_free(at_client);
        msfl_setup_free(at_adder);
        msfl_setup_free(at_holder);
        msfl_setup_free(made);
    }
}

static void test_no_key_pair(void **state) {
    (void)state;
    for (const msfl_scheme *const *s = msfl_schemes(); *s != NULL; s++) {
        if ((msfl_scheme_traits(*s) & MSFL_SCHEME_KEY_PAIR) != 0) continue;
        const uint8_t label[MSFL_HASH_BYTES] = {1}, zeros[MSFL_KEY_ID_BYTES] = {0};
        uint8_t id[MSFL_KEY_ID_BYTES], bytes[4];
        world w;
        world_open(&w, *s, 100);
        msfl_keys_id(w.keys, id);
        assert_memory_equal(id, zeros, sizeof id);
        assert_int_equal(msfl_keys_bytes(w.keys, MSFL_KEY_PUBLIC), 0);
        assert_int_equal(msfl_keys_write(w.keys, MSFL_KEY_SECRET, bytes), MSFL_ERR_USAGE);
        assert_int_equal(msfl_pair_encrypt(w.keys, label, 0, w.values, w.upload), MSFL_ERR_UNSUPPORTED);
        msfl_setup *setup;
        assert_int_equal(msfl_pair_setup(*s, msfl_setup_request(w.setup), bytes, 4, &setup), MSFL_ERR_UNSUPPORTED);
        world_close(&w);
    }
}

/** A whole session, reporting the first failure. */
static msfl_status whole_session(const msfl_scheme *s) {
    const msfl_scheme_request r = {.n_clients = 2, .min_cohort = 2, .value_bits = 8, .n_values = 3};
    const uint32_t values[3] = {1, 2, 3};
    uint64_t totals[3];
    msfl_setup *setup = NULL;
    msfl_keys *keys = NULL;
    msfl_session *session = NULL;
    uint8_t *bytes = NULL;
    msfl_scheme_facts f;
    msfl_status status = msfl_setup_new(s, &r, &setup);
    if (status == MSFL_OK) status = msfl_keys_new(setup, &keys);
    if (status == MSFL_OK) status = msfl_session_new(setup, keys, &one_info, &session);
    for (uint32_t c = 0; c < 2 && status == MSFL_OK; c++) {
        msfl_sender *sender = NULL;
        msfl_setup_facts(setup, &f);
        bytes = msfl_alloc(f.upload_bytes + f.trailer_bytes, 1);
        status = bytes == NULL ? MSFL_NO_MEMORY : msfl_sender_new(session, c, &sender);
        if (status == MSFL_OK) status = msfl_sender_encrypt(sender, 0, values, bytes);
        if (status == MSFL_OK) status = msfl_sender_finish(sender, bytes + f.upload_bytes);
        if (status == MSFL_OK) {
            status = msfl_session_upload(session, c, bytes, f.upload_bytes, bytes + f.upload_bytes, f.trailer_bytes);
        }
        msfl_sender_free(sender);
        msfl_free(bytes);
    }
    if (status == MSFL_OK) status = msfl_session_close(session);
    if (status == MSFL_OK) status = msfl_session_open(session, 0, totals);
    if (status == MSFL_OK) assert_int_equal(totals[2], 6);
    msfl_session_free(session);
    msfl_keys_free(keys);
    msfl_setup_free(setup);
    return status;
}

/* Every allocation fails once: a named error each time, and nothing is lost (the address sanitizer watches). */
static void test_out_of_memory(void **state) {
    (void)state;
    for (const msfl_scheme *const *s = msfl_schemes(); *s != NULL; s++) {
        if (slow(*s)) continue; /* a key each time; its own tests fail every allocation */
        long k = 1;
        for (;; k++) {
            msfl_alloc_fail_at(k);
            msfl_status status = whole_session(*s);
            msfl_alloc_fail_at(0);
            if (status == MSFL_OK) break;
            assert_int_equal(status, MSFL_ERR_MEMORY);
            assert_true(k < 2000);
        }
        assert_true(k > 5);
    }
}

int main(void) {
    if (msfl_crypto_init() != MSFL_OK) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sums),
        cmocka_unit_test(test_drop_outs),
        cmocka_unit_test(test_too_few),
        cmocka_unit_test(test_bad_uploads),
        cmocka_unit_test(test_senders),
        cmocka_unit_test(test_sessions_do_not_mix),
        cmocka_unit_test(test_delivery_to_clients),
        cmocka_unit_test(test_requests),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_key_pair_parts),
        cmocka_unit_test(test_no_key_pair),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
