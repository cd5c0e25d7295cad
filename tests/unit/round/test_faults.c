/* Every allocation (secret memory included) and every call of libcrypto fails once, under every function of every
 * scheme: a named error, outputs zeroed or as they were, nothing lost (the address sanitizer sees to that), and no key
 * that could be used twice. What follows a failure is tried as well: the same call once more, without one.
 *
 * The generator of the operating system is not made to fail: libsodium ends the process then, see base/sodium.h.
 */
#include "base/mem.h"
#include "he/bfv.h"
#include "he/shamir.h"
#include "medsecurefl/paillier.h"
#include "medsecurefl/pairwise.h"
#include "ring/aes.h"
#include "world.h"

typedef enum hook { ALLOCATION, LIBCRYPTO } hook;

static const msfl_status error_of[] = {MSFL_ERR_MEMORY, MSFL_ERR_SYSTEM};

static void fail_at(hook h, long k) {
    if (h == ALLOCATION) msfl_alloc_fail_at(k);
    if (h == LIBCRYPTO) msfl_aes_fail_at(k);
}

static void ok(msfl_status status) {
    if (status != MSFL_OK) fail_msg("%s: %s", msfl_status_name(status), msfl_error_message());
}

/** One call under test; its preparation and what must hold afterwards belong to it. */
typedef struct trial {
    msfl_status (*call)(void *what);
    void (*after_failure)(void *what); /* may be NULL */
    void *what;
} trial;

/** Fail the first, second, ... call of the hook inside `t->call` until it succeeds; returns how many were failed. */
static long fail_each(hook h, const trial *t) {
    for (long k = 1;; k++) {
        assert_true(k < 2000);
        fail_at(h, k);
        msfl_status status = t->call(t->what);
        fail_at(h, 0);
        if (status == MSFL_OK) return k - 1;
        if (status != error_of[h]) {
            fail_msg("failing call %ld: %s: %s", k, msfl_status_name(status), msfl_error_message());
        }
        assert_true(msfl_error_message()[0] != 0);
        if (t->after_failure != NULL) t->after_failure(t->what);
    }
}

static void expect_fill(const void *bytes, size_t n, int fill) {
    for (size_t i = 0; i < n; i++) {
        if (((const uint8_t *)bytes)[i] != fill) fail_msg("byte %zu of %zu is not %d", i, n, fill);
    }
}

/* --- packed --- */

static const uint8_t seed[MSFL_HASH_BYTES] = {3};

typedef struct packed {
    msfl_params params;
    msfl_packed *ctx;
    msfl_packed_key *key;
    msfl_packed_sum *sum;
    uint32_t *slots;
    uint64_t *totals;
    uint8_t *out;
    size_t length;
    long n_repeatable, n_spent; /* failures before and after the chunk was claimed */
} packed;

enum { VALUES = 5000 };

static msfl_status new_context(void *what) {
    packed *p = what;
    return msfl_packed_new(&p->params, &p->ctx);
}
static msfl_status new_key(void *what) {
    packed *p = what;
    return msfl_packed_key_new(p->ctx, seed, VALUES, &p->key);
}
static msfl_status new_sum(void *what) {
    packed *p = what;
    return msfl_packed_sum_new(p->ctx, seed, VALUES, &p->sum);
}
static void no_context(void *what) {
    assert_null(((packed *)what)->ctx);
}
static void no_key(void *what) {
    assert_null(((packed *)what)->key);
}
static void no_sum(void *what) {
    assert_null(((packed *)what)->sum);
}

static msfl_status encrypt(void *what) {
    packed *p = what;
    memset(p->out, 0x77, p->length);
    return msfl_packed_encrypt(p->ctx, p->key, 0, p->slots, p->out);
}
/** Nothing of the ciphertext is there. The same chunk either was not claimed yet, or is never encrypted again; after a
 *  failure that came later than a claim it cannot be free again. */
static void after_encryption(void *what) {
    packed *p = what;
    for (size_t i = 0; i < p->length; i++)
        assert_true(p->out[i] == 0 || p->out[i] == 0x77);
    bool touched = p->out[0] != 0x77;
    msfl_status again = msfl_packed_encrypt(p->ctx, p->key, 0, p->slots, p->out);
    if (again == MSFL_ERR_POLICY) {
        p->n_spent++;
        for (size_t i = 0; i < p->length; i++)
            assert_true(p->out[i] == 0 || p->out[i] == 0x77);
    } else {
        ok(again);
        assert_false(touched);
        assert_int_equal(p->n_spent, 0);
        p->n_repeatable++;
    }
    msfl_packed_key_free(p->key);
    ok(msfl_packed_key_new(p->ctx, seed, VALUES, &p->key));
}

static msfl_status open_sum(void *what) {
    packed *p = what;
    memset(p->totals, 0x77, VALUES * sizeof *p->totals);
    return msfl_packed_open(p->ctx, p->sum, 0, 1, msfl_packed_key_borrow(p->key), p->totals);
}
static void after_opening(void *what) {
    packed *p = what;
    expect_fill(p->totals, VALUES * sizeof *p->totals, 0);
}

static void packed_scheme(void **state) {
    (void)state;
    for (hook h = ALLOCATION; h <= LIBCRYPTO; h++) {
        packed p = {0};
        const msfl_params_request request = {.n_clients = 3, .value_bits = 16, .n_values = VALUES, .ring_degree = 8192};
        ok(msfl_params_plan(&request, &p.params));
        assert_true(p.params.n_primes > 1);
        long n = fail_each(h, &(trial){new_context, no_context, &p});
        assert_true(h == LIBCRYPTO || n >= 4);
        n = fail_each(h, &(trial){new_key, no_key, &p});
        assert_true(n >= 3);
        n = fail_each(h, &(trial){new_sum, no_sum, &p});
        assert_true(h == LIBCRYPTO || n >= 5);
        assert_int_equal(msfl_packed_chunks(p.ctx, VALUES), 1);
        p.length = msfl_packed_chunk_bytes(p.ctx, VALUES, 0);
        p.out = world_get(p.length, 1);
        p.slots = world_get(VALUES, sizeof *p.slots);
        p.totals = world_get(VALUES, sizeof *p.totals);
        for (uint32_t i = 0; i < VALUES; i++)
            p.slots[i] = i & 0xffff;
        n = fail_each(h, &(trial){encrypt, after_encryption, &p});
        /* The key's scratch was made with the key, so encryption allocates nothing. */
        if (h == LIBCRYPTO) assert_true(p.n_repeatable >= 2 && p.n_spent >= 2 * p.params.n_primes);
        assert_int_equal(n, p.n_repeatable + p.n_spent);
        ok(msfl_packed_fold(p.ctx, p.sum, 0, p.out, p.length));
        n = fail_each(h, &(trial){open_sum, after_opening, &p});
        assert_true(n >= 3);
        for (uint32_t i = 0; i < VALUES; i++)
            assert_int_equal(p.totals[i], p.slots[i]);
        msfl_packed_key_free(p.key);
        msfl_packed_sum_free(p.sum);
        msfl_packed_free(p.ctx);
        msfl_free(p.out);
        msfl_free(p.slots);
        msfl_free(p.totals);
    }
}

/* --- a round: the client's key is not used twice, the coordinator opens after a failure --- */

typedef struct one_client {
    world *w;
    msfl_round_client *client;
    uint8_t *out, *bundle, hash[MSFL_HASH_BYTES];
    size_t length;
} one_client;

static msfl_status join_round(void *what) {
    one_client *c = what;
    return msfl_round_client_new(c->w->ctx, &c->w->info, 0, &c->client);
}
static void no_client(void *what) {
    assert_null(((one_client *)what)->client);
}
static msfl_status client_encrypts(void *what) {
    one_client *c = what;
    memset(c->out, 0x77, c->length);
    return msfl_round_client_encrypt(c->client, 0, c->w->slots[0], c->out);
}
static void client_failed(void *what) {
    one_client *c = what;
    for (size_t i = 0; i < c->length; i++)
        assert_true(c->out[i] == 0 || c->out[i] == 0x77);
    /* A chunk that is missing cannot be left out. */
    assert_int_equal(msfl_round_client_finish(c->client, c->hash, c->bundle), MSFL_ERR_USAGE);
    msfl_status again = msfl_round_client_encrypt(c->client, 0, c->w->slots[0], c->out);
    assert_true(again == MSFL_OK || again == MSFL_ERR_POLICY);
    msfl_round_client_free(c->client);
    ok(msfl_round_client_new(c->w->ctx, &c->w->info, 0, &c->client));
}
static msfl_status client_finishes(void *what) {
    one_client *c = what;
    memset(c->hash, 0x77, sizeof c->hash);
    memset(c->bundle, 0x77, c->w->bundle_bytes);
    return msfl_round_client_finish(c->client, c->hash, c->bundle);
}
static void client_did_not_finish(void *what) {
    one_client *c = what;
    expect_fill(c->hash, sizeof c->hash, 0);
    expect_fill(c->bundle, c->w->bundle_bytes, 0);
    assert_int_equal(msfl_round_client_finish(c->client, c->hash, c->bundle), MSFL_ERR_POLICY);
    assert_int_equal(msfl_round_client_encrypt(c->client, 0, c->w->slots[0], c->out), MSFL_ERR_POLICY);
    msfl_round_client_free(c->client);
    ok(msfl_round_client_new(c->w->ctx, &c->w->info, 0, &c->client));
    ok(msfl_round_client_encrypt(c->client, 0, c->w->slots[0], c->out));
}

typedef struct opening {
    msfl_round_coordinator *c;
    uint64_t *totals;
    uint32_t n;
} opening;

static msfl_status coordinator_opens(void *what) {
    opening *o = what;
    memset(o->totals, 0x77, o->n * sizeof *o->totals);
    return msfl_round_coordinator_open(o->c, 0, o->totals);
}
static void coordinator_failed(void *what) {
    opening *o = what;
    expect_fill(o->totals, o->n * sizeof *o->totals, 0);
}

static void a_round(void **state) {
    (void)state;
    for (hook h = ALLOCATION; h <= LIBCRYPTO; h++) {
        world w;
        world_make(&w, 3, 3, 16, 3000);
        assert_int_equal(w.n_chunks, 1);
        one_client one = {.w = &w, .length = w.ciphertext_bytes};
        one.out = world_get(one.length, 1);
        one.bundle = world_get(w.bundle_bytes, 1);
        assert_true(fail_each(h, &(trial){join_round, no_client, &one}) >= 3);
        long n = fail_each(h, &(trial){client_encrypts, client_failed, &one});
        assert_true(h == ALLOCATION || n > 2 * w.info.params.n_primes);
        n = fail_each(h, &(trial){client_finishes, client_did_not_finish, &one});
        assert_true(h == LIBCRYPTO || n >= 1);
        msfl_round_client_free(one.client);
        msfl_free(one.out);
        msfl_free(one.bundle);

        const uint32_t all[] = {0, 1, 2};
        msfl_round_certificate certificate;
        opening o = {.n = 3000, .totals = world_get(3000, sizeof *o.totals)};
        int32_t *key_sum = world_get(w.info.params.ring_degree, sizeof *key_sum);
        ok(msfl_round_coordinator_new(w.ctx, &w.info, &o.c));
        for (uint32_t i = 0; i < 3; i++)
            ok(world_upload(&w, o.c, i));
        ok(msfl_round_coordinator_certify(o.c, &certificate));
        ok(world_answer(&w, &certificate, key_sum));
        ok(msfl_round_coordinator_release(o.c, key_sum));
        assert_true(fail_each(h, &(trial){coordinator_opens, coordinator_failed, &o}) >= 3);
        world_expect_sum(&w, o.c, all, 3);
        msfl_round_coordinator_free(o.c);
        msfl_free(o.totals);
        msfl_free(key_sum);
        world_clear(&w);
    }
}

/* --- bfv --- */

typedef struct bfv {
    msfl_bfv_params params;
    msfl_bfv *ctx;
    msfl_bfv_secret *secret, *secret_again;
    msfl_bfv_public *public, *public_again;
    msfl_bfv_ct *sum, *seeded;
    uint8_t *secret_bytes, *public_bytes, *before, *after;
    uint32_t n, *values;
    uint64_t *totals;
} bfv;

static msfl_status bfv_new(void *what) {
    bfv *b = what;
    return msfl_bfv_new(&b->params, &b->ctx);
}
static msfl_status bfv_secret(void *what) {
    bfv *b = what;
    return msfl_bfv_secret_new(b->ctx, &b->secret);
}
static msfl_status bfv_public(void *what) {
    bfv *b = what;
    return msfl_bfv_public_new(b->ctx, b->secret, &b->public);
}
static msfl_status bfv_secret_again(void *what) {
    bfv *b = what;
    return msfl_bfv_secret_read(b->ctx, b->secret_bytes, msfl_bfv_secret_bytes(b->ctx), &b->secret_again);
}
static msfl_status bfv_public_again(void *what) {
    bfv *b = what;
    return msfl_bfv_public_read(b->ctx, b->public_bytes, msfl_bfv_public_bytes(b->ctx), &b->public_again);
}
static void bfv_no_context(void *what) {
    assert_null(((bfv *)what)->ctx);
}
static void bfv_no_secret(void *what) {
    assert_null(((bfv *)what)->secret);
}
static void bfv_no_public(void *what) {
    assert_null(((bfv *)what)->public);
}
static void bfv_no_secret_again(void *what) {
    assert_null(((bfv *)what)->secret_again);
}
static void bfv_no_public_again(void *what) {
    assert_null(((bfv *)what)->public_again);
}
static void bfv_no_ct(void *what) {
    assert_null(((bfv *)what)->sum);
}
static msfl_status bfv_ct(void *what) {
    bfv *b = what;
    return msfl_bfv_ct_new(b->ctx, &b->sum);
}
static msfl_status bfv_encrypt(void *what) {
    bfv *b = what;
    return msfl_bfv_encrypt(b->ctx, b->public, 7, b->values, b->n, b->sum);
}
static msfl_status bfv_encrypt_seeded(void *what) {
    bfv *b = what;
    return msfl_bfv_encrypt_seeded(b->ctx, b->secret, 7, b->values, b->n, b->seeded);
}
static void bfv_is_empty(void *what) {
    bfv *b = what;
    msfl_bfv_ct *ct = b->seeded != NULL ? b->seeded : b->sum;
    assert_int_equal(msfl_bfv_ct_values(ct), 0);
    assert_int_equal(msfl_bfv_ct_bytes(b->ctx, ct), 0);
    assert_int_equal(msfl_bfv_decrypt(b->ctx, b->secret, ct, b->totals), MSFL_ERR_USAGE);
}
static msfl_status bfv_add(void *what) {
    bfv *b = what;
    msfl_bfv_ct_write(b->ctx, b->sum, b->before);
    return msfl_bfv_add(b->ctx, b->sum, b->seeded);
}
static void bfv_unchanged(void *what) {
    bfv *b = what;
    msfl_bfv_ct_write(b->ctx, b->sum, b->after);
    assert_memory_equal(b->before, b->after, msfl_bfv_ct_bytes(b->ctx, b->sum));
}
static msfl_status bfv_decrypt(void *what) {
    bfv *b = what;
    memset(b->totals, 0x77, b->n * sizeof *b->totals);
    return msfl_bfv_decrypt(b->ctx, b->secret, b->sum, b->totals);
}
static msfl_status bfv_decrypt_seeded(void *what) {
    bfv *b = what;
    memset(b->totals, 0x77, b->n * sizeof *b->totals);
    return msfl_bfv_decrypt(b->ctx, b->secret, b->seeded, b->totals);
}
static void bfv_zeroed(void *what) {
    bfv *b = what;
    expect_fill(b->totals, b->n * sizeof *b->totals, 0);
}

static void bfv_scheme(void **state) {
    (void)state;
    for (hook h = ALLOCATION; h <= LIBCRYPTO; h++) {
        bfv b = {.n = 3000};
        const msfl_bfv_request request = {.n_addends = 3, .value_bits = 16, .n_values = b.n, .ring_degree = 4096};
        ok(msfl_bfv_plan(&request, &b.params));
        long n = fail_each(h, &(trial){bfv_new, bfv_no_context, &b});
        assert_true(h == LIBCRYPTO || n >= 4);
        assert_true(fail_each(h, &(trial){bfv_secret, bfv_no_secret, &b}) >= 3);
        assert_true(fail_each(h, &(trial){bfv_public, bfv_no_public, &b}) >= 3);
        b.secret_bytes = world_get(msfl_bfv_secret_bytes(b.ctx), 1);
        b.public_bytes = world_get(msfl_bfv_public_bytes(b.ctx), 1);
        b.before = world_get(msfl_bfv_ct_bytes_max(b.ctx), 1);
        b.after = world_get(msfl_bfv_ct_bytes_max(b.ctx), 1);
        b.values = world_get(b.n, sizeof *b.values);
        b.totals = world_get(b.n, sizeof *b.totals);
        for (uint32_t i = 0; i < b.n; i++)
            b.values[i] = 65535 - i;
        msfl_bfv_secret_write(b.ctx, b.secret, b.secret_bytes);
        msfl_bfv_public_write(b.ctx, b.public, b.public_bytes);
        assert_true(fail_each(h, &(trial){bfv_secret_again, bfv_no_secret_again, &b}) >= 3);
        assert_true(fail_each(h, &(trial){bfv_public_again, bfv_no_public_again, &b}) >= 3);
        n = fail_each(h, &(trial){bfv_ct, bfv_no_ct, &b});
        assert_true(h == LIBCRYPTO || n == 3);
        n = fail_each(h, &(trial){bfv_encrypt, bfv_is_empty, &b});
        assert_true(h == ALLOCATION || n >= 6);
        ok(msfl_bfv_ct_new(b.ctx, &b.seeded));
        n = fail_each(h, &(trial){bfv_encrypt_seeded, bfv_is_empty, &b});
        assert_true(h == ALLOCATION || n >= 4);
        n = fail_each(h, &(trial){bfv_decrypt_seeded, bfv_zeroed, &b});
        assert_true(h == ALLOCATION || n >= 4);
        assert_true(fail_each(h, &(trial){bfv_add, bfv_unchanged, &b}) >= 2);
        (void)fail_each(h, &(trial){bfv_decrypt, bfv_zeroed, &b});
        for (uint32_t i = 0; i < b.n; i++)
            assert_int_equal(b.totals[i], 2 * b.values[i]);
        msfl_bfv_ct_free(b.sum);
        msfl_bfv_ct_free(b.seeded);
        msfl_bfv_public_free(b.public);
        msfl_bfv_public_free(b.public_again);
        msfl_bfv_secret_free(b.secret);
        msfl_bfv_secret_free(b.secret_again);
        msfl_bfv_free(b.ctx);
        msfl_free(b.secret_bytes);
        msfl_free(b.public_bytes);
        msfl_free(b.before);
        msfl_free(b.after);
        msfl_free(b.values);
        msfl_free(b.totals);
    }
}

/* --- shamir, pairwise, paillier: no libcrypto --- */

enum { T = 2, K = 3, N = 100 };
static int32_t secret[N], opened[N];
static uint32_t shares[K * N];

static msfl_status split(void *what) {
    (void)what;
    memset(shares, 0x77, sizeof shares);
    return msfl_shamir_split(T, K, secret, N, shares);
}
static void not_split(void *what) {
    (void)what;
    expect_fill(shares, sizeof shares, 0);
}

static void shamir(void **state) {
    (void)state;
    static const uint32_t members[T] = {2, 0};
    const uint32_t *planes[T] = {shares + 2 * N, shares};
    for (int i = 0; i < N; i++)
        secret[i] = 1000 * i - 50000;
    assert_int_equal(fail_each(ALLOCATION, &(trial){split, not_split, NULL}), 1);
    ok(msfl_shamir_join(T, members, T, planes, N, opened));
    assert_memory_equal(secret, opened, sizeof secret);
}

enum { PAIRWISE_VALUES = 1003 };

typedef struct pairwise {
    msfl_pairwise_info info;
    msfl_pairwise_client *c[3];
    msfl_pairwise_server *server;
    const uint8_t *advert_of[3];
    uint8_t adverts[3][MSFL_PAIRWISE_ADVERT_BYTES], packets[3][3][MSFL_PAIRWISE_PACKET_BYTES];
    uint64_t totals[PAIRWISE_VALUES];
    uint32_t next;
} pairwise;

static msfl_status pairwise_join(void *what) {
    pairwise *p = what;
    return msfl_pairwise_client_new(&p->info, p->next, &p->c[p->next]);
}
static void pairwise_not_joined(void *what) {
    pairwise *p = what;
    assert_null(p->c[p->next]);
}
static msfl_status pairwise_serve(void *what) {
    pairwise *p = what;
    return msfl_pairwise_server_new(&p->info, p->advert_of, &p->server);
}
static void pairwise_no_server(void *what) {
    assert_null(((pairwise *)what)->server);
}
static msfl_status pairwise_share(void *what) {
    pairwise *p = what;
    memset(p->packets[p->next], 0x77, sizeof p->packets[0]);
    return msfl_pairwise_client_share(p->c[p->next], p->advert_of, p->packets[p->next][0]);
}
static void pairwise_not_shared(void *what) {
    pairwise *p = what;
    expect_fill(p->packets[p->next], sizeof p->packets[0], 0);
}
static msfl_status pairwise_unmask(void *what) {
    return msfl_pairwise_server_unmask(((pairwise *)what)->server);
}
static msfl_status pairwise_open(void *what) {
    pairwise *p = what;
    memset(p->totals, 0x77, sizeof p->totals);
    return msfl_pairwise_server_open(p->server, 0, p->totals);
}
static void pairwise_masked(void *what) {
    pairwise *p = what;
    assert_int_equal(msfl_pairwise_server_open(p->server, 0, p->totals), MSFL_ERR_POLICY);
}
static void pairwise_zeroed(void *what) {
    pairwise *p = what;
    expect_fill(p->totals, sizeof p->totals, 0);
}

static void pairwise_scheme(void **state) {
    (void)state;
    pairwise *p = world_get(1, sizeof *p);
    static const bool partners[3] = {true, true, true};
    bool uploaded[3];
    p->info = (msfl_pairwise_info){
        .n_clients = 3, .threshold = 2, .min_cohort = 2, .value_bits = 16, .n_values = PAIRWISE_VALUES};
    for (p->next = 0; p->next < 3; p->next++) {
        assert_int_equal(fail_each(ALLOCATION, &(trial){pairwise_join, pairwise_not_joined, p}), 2);
        msfl_pairwise_client_advert(p->c[p->next], p->adverts[p->next]);
        p->advert_of[p->next] = p->adverts[p->next];
    }
    assert_int_equal(fail_each(ALLOCATION, &(trial){pairwise_serve, pairwise_no_server, p}), 3);
    for (p->next = 0; p->next < 3; p->next++)
        assert_int_equal(fail_each(ALLOCATION, &(trial){pairwise_share, pairwise_not_shared, p}), 2);
    ok(msfl_pairwise_server_start(p->server, partners));
    uint32_t values[PAIRWISE_VALUES];
    size_t length = (size_t)msfl_pairwise_upload_bytes(&p->info), answer_bytes = msfl_pairwise_answer_bytes(&p->info);
    uint8_t *upload = world_get(length, 1), *answer = world_get(answer_bytes, 1);
    for (uint32_t i = 0; i < PAIRWISE_VALUES; i++)
        values[i] = i;
    /* These need no memory at all. */
    msfl_alloc_fail_at(1);
    for (uint32_t i = 0; i < 3; i++) {
        const uint8_t *packet_of[3] = {p->packets[0][i], p->packets[1][i], p->packets[2][i]};
        ok(msfl_pairwise_client_start(p->c[i], packet_of));
        if (i == 2) continue;
        ok(msfl_pairwise_client_mask(p->c[i], 0, values, upload));
        ok(msfl_pairwise_server_upload(p->server, i, upload, length));
    }
    ok(msfl_pairwise_server_close(p->server, uploaded));
    for (uint32_t i = 0; i < 2; i++) {
        ok(msfl_pairwise_client_answer(p->c[i], uploaded, answer));
        ok(msfl_pairwise_server_answer(p->server, i, answer, answer_bytes));
    }
    msfl_alloc_fail_at(0);
    assert_int_equal(fail_each(ALLOCATION, &(trial){pairwise_unmask, pairwise_masked, p}), 2);
    assert_int_equal(fail_each(ALLOCATION, &(trial){pairwise_open, pairwise_zeroed, p}), 1);
    for (uint32_t i = 0; i < PAIRWISE_VALUES; i++)
        assert_int_equal(p->totals[i], 2 * i);
    for (uint32_t i = 0; i < 3; i++)
        msfl_pairwise_client_free(p->c[i]);
    msfl_pairwise_server_free(p->server);
    msfl_free(upload);
    msfl_free(answer);
    msfl_free(p);
}

#include "../../ctime/paillier_key.h"

typedef struct paillier {
    msfl_paillier_secret *key;
    msfl_paillier_public *public;
    msfl_paillier_encryptor *e;
    msfl_paillier_method method;
    msfl_paillier_shape shape;
    uint8_t public_bytes[MSFL_PAILLIER_PUBLIC_BYTES_MAX], *sum, *out, *before;
    uint32_t values[5];
    uint64_t totals[5];
    size_t length;
} paillier;

static const uint8_t label[MSFL_HASH_BYTES] = {9};

static msfl_status paillier_read(void *what) {
    paillier *p = what;
    return msfl_paillier_secret_read(paillier_key, sizeof paillier_key, &p->key);
}
static void paillier_not_read(void *what) {
    assert_null(((paillier *)what)->key);
}
static msfl_status paillier_public(void *what) {
    paillier *p = what;
    return msfl_paillier_public_read(p->public_bytes, msfl_paillier_public_bytes(msfl_paillier_public_borrow(p->key)),
                                     &p->public);
}
static void paillier_no_public(void *what) {
    assert_null(((paillier *)what)->public);
}
static msfl_status paillier_encryptor(void *what) {
    paillier *p = what;
    return msfl_paillier_encryptor_new(p->public, p->method, &p->e);
}
static void paillier_no_encryptor(void *what) {
    assert_null(((paillier *)what)->e);
}
static msfl_status paillier_encrypt(void *what) {
    paillier *p = what;
    memset(p->out, 0x77, p->length);
    return msfl_paillier_encrypt(p->e, &p->shape, label, 0, p->values, p->out);
}
static void paillier_not_encrypted(void *what) {
    paillier *p = what;
    expect_fill(p->out, p->length, 0);
}
static msfl_status paillier_add(void *what) {
    paillier *p = what;
    memcpy(p->before, p->sum, p->length);
    return msfl_paillier_add(p->public, &p->shape, label, 0, p->sum, p->out, p->length);
}
static void paillier_not_added(void *what) {
    paillier *p = what;
    assert_memory_equal(p->sum, p->before, p->length);
}
static msfl_status paillier_decrypt(void *what) {
    paillier *p = what;
    memset(p->totals, 0x77, sizeof p->totals);
    return msfl_paillier_decrypt(p->key, &p->shape, label, 0, p->sum, p->length, NULL, p->totals);
}
static void paillier_zeroed(void *what) {
    paillier *p = what;
    expect_fill(p->totals, sizeof p->totals, 0);
}

static void paillier_scheme(void **state) {
    (void)state;
    paillier p = {.values = {1, 2, 3, 4, 65535}};
    assert_true(fail_each(ALLOCATION, &(trial){paillier_read, paillier_not_read, &p}) >= 7);
    msfl_paillier_public_write(msfl_paillier_public_borrow(p.key), p.public_bytes);
    assert_true(fail_each(ALLOCATION, &(trial){paillier_public, paillier_no_public, &p}) >= 5);
    ok(msfl_paillier_plan(2048, 3, 16, 5, 0, &p.shape));
    p.length = msfl_paillier_chunk_bytes(&p.shape, 0);
    p.sum = world_get(p.length, 1);
    p.out = world_get(p.length, 1);
    p.before = world_get(p.length, 1);
    for (p.method = MSFL_PAILLIER_RANDOM_BASE; p.method <= MSFL_PAILLIER_FIXED_BASE; p.method++) {
        p.e = NULL;
        long n = fail_each(ALLOCATION, &(trial){paillier_encryptor, paillier_no_encryptor, &p});
        assert_int_equal(n, p.method == MSFL_PAILLIER_RANDOM_BASE ? 1 : 3);
        assert_int_equal(fail_each(ALLOCATION, &(trial){paillier_encrypt, paillier_not_encrypted, &p}), 1);
        msfl_paillier_encryptor_free(p.e);
        if (p.method == MSFL_PAILLIER_RANDOM_BASE) memcpy(p.sum, p.out, p.length);
    }
    assert_int_equal(fail_each(ALLOCATION, &(trial){paillier_add, paillier_not_added, &p}), 2);
    assert_int_equal(fail_each(ALLOCATION, &(trial){paillier_decrypt, paillier_zeroed, &p}), 2);
    for (int i = 0; i < 5; i++)
        assert_int_equal(p.totals[i], 2 * p.values[i]);
    msfl_paillier_public_free(p.public);
    msfl_paillier_secret_free(p.key);
    msfl_free(p.sum);
    msfl_free(p.out);
    msfl_free(p.before);
}

int main(void) {
    if (msfl_crypto_init() != MSFL_OK) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packed_scheme), cmocka_unit_test(a_round),         cmocka_unit_test(bfv_scheme),
        cmocka_unit_test(shamir),        cmocka_unit_test(pairwise_scheme), cmocka_unit_test(paillier_scheme),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
