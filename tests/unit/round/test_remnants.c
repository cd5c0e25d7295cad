/* No secret stays in memory: after keys, clients, sums and servers were freed, no 16 bytes of any seed, key
 * coefficient, noise, stream key, share or value are anywhere in the process, dead stack frames and freed heap
 * included.
 *
 * The linker puts the __wrap functions below in place of those that make secrets (tests/CMakeLists.txt), so every
 * secret is told without the library knowing.
 */
#include "base/mem.h"
#include "base/sodium.h"
#include "he/bfv.h"
#include "he/context.h"
#include "he/paillier.h"
#include "he/pairwise.h"
#include "he/shamir.h"
#include "makers.h"
#include "round/bundle.h"

/* --- what makes secrets, beside makers.h --- */

static bool masks_are_secret; /* the same stream cipher makes public numbers for Paillier and for tests */

void __real_msfl_chacha20_stream(const uint8_t *key, uint64_t nonce, uint64_t block, uint8_t *out, size_t length);
void __wrap_msfl_chacha20_stream(const uint8_t *key, uint64_t nonce, uint64_t block, uint8_t *out, size_t length);
void __wrap_msfl_chacha20_stream(const uint8_t *key, uint64_t nonce, uint64_t block, uint8_t *out, size_t length) {
    __real_msfl_chacha20_stream(key, nonce, block, out, length);
    if (!masks_are_secret) return;
    tell(TOLD_SECRET, "mask key", key, 32, 16);
    tell(TOLD_SECRET, "mask", out, length, 16);
}

msfl_status __real_msfl_x25519(const uint8_t *secret, const uint8_t *public_key, uint8_t *shared);
msfl_status __wrap_msfl_x25519(const uint8_t *secret, const uint8_t *public_key, uint8_t *shared);
msfl_status __wrap_msfl_x25519(const uint8_t *secret, const uint8_t *public_key, uint8_t *shared) {
    msfl_status status = __real_msfl_x25519(secret, public_key, shared);
    tell(TOLD_SECRET, "agreed key", shared, MSFL_X25519_BYTES, 16);
    return status;
}

void __real_msfl_aead_seal(const uint8_t *key, const uint8_t *nonce, const void *data, size_t data_length,
                           const void *message, size_t length, uint8_t *out);
void __wrap_msfl_aead_seal(const uint8_t *key, const uint8_t *nonce, const void *data, size_t data_length,
                           const void *message, size_t length, uint8_t *out);
void __wrap_msfl_aead_seal(const uint8_t *key, const uint8_t *nonce, const void *data, size_t data_length,
                           const void *message, size_t length, uint8_t *out) {
    tell(TOLD_SECRET, "packet key", key, MSFL_AEAD_KEY_BYTES, 16);
    tell(TOLD_SECRET, "packed shares", message, length, 16);
    __real_msfl_aead_seal(key, nonce, data, data_length, message, length, out);
}

void __real_msfl_box_keypair(uint8_t *public_key, uint8_t *secret_key);
void __wrap_msfl_box_keypair(uint8_t *public_key, uint8_t *secret_key);
void __wrap_msfl_box_keypair(uint8_t *public_key, uint8_t *secret_key) {
    __real_msfl_box_keypair(public_key, secret_key);
    tell(TOLD_SECRET, "authority's key", secret_key, MSFL_BOX_SECRET_BYTES, 16);
}

msfl_status __real_msfl_bundle_add(const msfl_bundle_binding *binding, const uint8_t *plain, size_t length,
                                   int32_t *sum);
msfl_status __wrap_msfl_bundle_add(const msfl_bundle_binding *binding, const uint8_t *plain, size_t length,
                                   int32_t *sum);
msfl_status __wrap_msfl_bundle_add(const msfl_bundle_binding *binding, const uint8_t *plain, size_t length,
                                   int32_t *sum) {
    msfl_status status = __real_msfl_bundle_add(binding, plain, length, sum);
    tell(TOLD_SECRET, "key in a bundle", plain + 80, length - 80, 16);
    tell(TOLD_SECRET, "key sum", sum, binding->ring_degree * sizeof *sum, 64);
    return status;
}

msfl_status __real_msfl_shamir_split(uint32_t t, uint32_t k, const int32_t *secret, size_t n, uint32_t *shares);
msfl_status __wrap_msfl_shamir_split(uint32_t t, uint32_t k, const int32_t *secret, size_t n, uint32_t *shares);
msfl_status __wrap_msfl_shamir_split(uint32_t t, uint32_t k, const int32_t *secret, size_t n, uint32_t *shares) {
    msfl_status status = __real_msfl_shamir_split(t, k, secret, n, shares);
    tell(TOLD_SECRET, "shared integers", secret, n * sizeof *secret, 64);
    tell(TOLD_SECRET, "shares", shares, (size_t)k * n * sizeof *shares, 16);
    return status;
}

static const msfl_params_request packed_request = {
    .n_clients = 3, .value_bits = 16, .n_values = 5000, .ring_degree = 2048};

static void round_of_three(void) {
    enum { CLIENTS = 3, VALUES = 5000 };
    msfl_round_info info = {.number = 1, .n_clients = CLIENTS, .min_cohort = CLIENTS, .n_values = VALUES};
    msfl_packed *ctx;
    msfl_authority *authority;
    msfl_round_coordinator *coordinator;
    must(msfl_params_plan(&packed_request, &info.params));
    must(msfl_packed_new(&info.params, &ctx));
    must(msfl_authority_new(&authority));
    msfl_authority_public_key(authority, info.authority);
    must(msfl_round_coordinator_new(ctx, &info, &coordinator));
    size_t n_chunks = msfl_packed_chunks(ctx, VALUES), length = 0, bundle_bytes = msfl_round_bundle_bytes(&info.params);
    for (size_t j = 0; j < n_chunks; j++)
        length += msfl_packed_chunk_bytes(ctx, VALUES, j);
    uint8_t *upload = msfl_alloc(length, 1), *bundle = msfl_alloc(bundle_bytes, 1), hash[MSFL_HASH_BYTES];
    for (uint32_t i = 0; i < CLIENTS; i++) {
        uint32_t *values = secret_values(VALUES, 16);
        msfl_round_client *client;
        must(msfl_round_client_new(ctx, &info, i, &client));
        for (size_t j = 0, at = 0, slot = 0; j < n_chunks; j++) {
            must(msfl_round_client_encrypt(client, j, values + slot, upload + at));
            at += msfl_packed_chunk_bytes(ctx, VALUES, j);
            slot += msfl_packed_chunk_slots(ctx, VALUES, j);
        }
        if (i == 1) search_now(TOLD_ALIVE);
        must(msfl_round_client_finish(client, hash, bundle));
        must(msfl_round_coordinator_upload(coordinator, i, upload, length, hash, bundle, bundle_bytes));
        msfl_round_client_free(client);
        msfl_secret_free(values);
    }
    msfl_round_certificate certificate;
    int32_t *key_sum = msfl_secret_alloc(info.params.ring_degree * sizeof *key_sum);
    must(msfl_round_coordinator_certify(coordinator, &certificate));
    must(msfl_authority_answer(authority, &info, certificate.clients, certificate.bundles,
                               certificate.ciphertext_hashes, certificate.n, key_sum));
    must(msfl_round_coordinator_release(coordinator, key_sum));
    uint64_t *totals = secret_totals(VALUES);
    for (size_t j = 0, slot = 0; j < n_chunks; j++) {
        must(msfl_round_coordinator_open(coordinator, j, totals + slot));
        slot += msfl_packed_chunk_slots(ctx, VALUES, j);
    }
    tell(TOLD_SECRET, "totals", totals, VALUES * sizeof *totals, 32);
    search_now(TOLD_ALIVE);
    msfl_secret_free(totals);
    msfl_secret_free(key_sum);
    msfl_round_coordinator_free(coordinator);
    msfl_authority_free(authority);
    msfl_packed_free(ctx);
    msfl_free(upload);
    msfl_free(bundle);
    search_now(TOLD_FREED);
}

/** A small polynomial also lies about as 32-bit integers and as prepared cells. */
static void other_forms(haystack *h, const char *name, const uint8_t *bytes, size_t length) {
    bool is_sum = strcmp(name, "key sum") == 0;
    if (!is_sum && strcmp(name, "small") != 0) return;
    size_t n = is_sum ? length / sizeof(int32_t) : length;
    int32_t *s = malloc(n * sizeof *s);
    assert_non_null(s);
    if (is_sum) memcpy(s, bytes, length);
    for (size_t i = 0; i < n && !is_sum; i++)
        s[i] = (int8_t)bytes[i];
    if (!is_sum) take_needle(h, "small as integers", s, n * sizeof *s, 64, false);
    msfl_params params;
    msfl_packed *ctx;
    assert_int_equal(msfl_params_plan(&packed_request, &params), MSFL_OK);
    if (n == params.ring_degree) {
        assert_int_equal(msfl_packed_new(&params, &ctx), MSFL_OK);
        msfl_cell *cells = msfl_alloc(n * params.n_primes, sizeof *cells);
        assert_non_null(cells);
        msfl_prepare_key(ctx, s, cells);
        take_needle(h, "prepared key", cells, n * params.n_primes * sizeof *cells, 16, false);
        msfl_free(cells);
        msfl_packed_free(ctx);
    }
    free(s);
}

static void a_packed_round(void **state) {
    (void)state;
    if (skipped()) skip();
    static const char *const alive[] = {
        "random", "small", "small as integers", "prepared key", "authority's key", "values", "key sum", "totals", NULL};
    under_every_kernel(round_of_three, alive, other_forms);
}

static void bfv(void) {
    enum { VALUES = 3000 };
    const msfl_bfv_request request = {.n_addends = 4, .value_bits = 16, .n_values = VALUES, .ring_degree = 2048};
    msfl_bfv_params p;
    msfl_bfv *ctx;
    msfl_bfv_secret *secret, *again;
    msfl_bfv_public *public;
    msfl_bfv_ct *sum, *ct;
    must(msfl_bfv_plan(&request, &p));
    must(msfl_bfv_new(&p, &ctx));
    must(msfl_bfv_secret_new(ctx, &secret));
    must(msfl_bfv_public_new(ctx, secret, &public));
    tell(TOLD_PUBLIC, "seed of a", public->seed, sizeof public->seed, 16);
    must(msfl_bfv_ct_new(ctx, &sum));
    must(msfl_bfv_ct_new(ctx, &ct));
    uint8_t *bytes = msfl_secret_alloc(1024);
    msfl_bfv_secret_write(ctx, secret, bytes);
    must(msfl_bfv_secret_read(ctx, bytes, msfl_bfv_secret_bytes(ctx), &again));
    uint32_t n = msfl_bfv_chunk_values(ctx, VALUES, 0);
    uint32_t *values = secret_values(n, 16);
    uint64_t *totals = secret_totals(n);
    must(msfl_bfv_encrypt(ctx, public, 3, values, n, sum));
    must(msfl_bfv_encrypt_seeded(ctx, secret, 3, values, n, ct));
    tell(TOLD_PUBLIC, "seed of a", ct->seed, sizeof ct->seed, 16);
    must(msfl_bfv_add(ctx, sum, ct));
    must(msfl_bfv_decrypt(ctx, again, sum, totals));
    tell(TOLD_SECRET, "prepared key", secret->base.prepared, (size_t)p.ring_degree * p.n_primes * 8, 16);
    tell(TOLD_SECRET, "key", secret->base.s, p.ring_degree * sizeof(int32_t), 64);
    tell(TOLD_SECRET, "totals", totals, n * sizeof *totals, 32);
    search_now(TOLD_ALIVE);
    msfl_secret_free(bytes);
    msfl_secret_free(values);
    msfl_secret_free(totals);
    msfl_bfv_ct_free(sum);
    msfl_bfv_ct_free(ct);
    msfl_bfv_public_free(public);
    msfl_bfv_secret_free(secret);
    msfl_bfv_secret_free(again);
    msfl_bfv_free(ctx);
    search_now(TOLD_FREED);
}

static void a_bfv_key_pair(void **state) {
    (void)state;
    if (skipped()) skip();
    static const char *const alive[] = {"random", "small as integers", "prepared key", "values", "totals", NULL};
    under_every_kernel(bfv, alive, other_forms);
}

static void paillier(void) {
    msfl_paillier_secret *key;
    msfl_paillier_shape shape;
    static const uint8_t label[MSFL_HASH_BYTES] = {1};
    candidates = true;
    must(msfl_paillier_keygen(2048, &key));
    candidates = false;
    size_t h = key->public->limbs / 2;
    tell(TOLD_SECRET, "primes", key->p, 2 * h * 8, 16);
    tell(TOLD_SECRET, "their squares", key->p2, 4 * h * 8, 16);
    tell(TOLD_SECRET, "their inverses", key->hp, 3 * h * 8, 16);
    must(msfl_paillier_plan(2048, 4, 16, 100, 0, &shape));
    uint32_t *values = secret_values(100, 16);
    uint64_t *totals = secret_totals(100);
    size_t length = msfl_paillier_chunk_bytes(&shape, 0);
    uint8_t *out = msfl_alloc(length, 1);
    for (int method = 1; method <= 2; method++) {
        msfl_paillier_encryptor *e;
        must(msfl_paillier_encryptor_new(key->public, (msfl_paillier_method)method, &e));
        must(msfl_paillier_encrypt(e, &shape, label, 0, values, out));
        must(msfl_paillier_decrypt(key, &shape, label, 0, out, length, NULL, totals));
        msfl_paillier_encryptor_free(e);
    }
    tell(TOLD_SECRET, "totals", totals, 100 * sizeof *totals, 32);
    search_now(TOLD_ALIVE);
    msfl_secret_free(values);
    msfl_secret_free(totals);
    msfl_paillier_secret_free(key);
    msfl_free(out);
    search_now(TOLD_FREED);
}

static void a_paillier_key_pair(void **state) {
    (void)state;
    if (skipped()) skip();
    static const char *const alive[] = {"primes", "their squares", "their inverses", "values", "totals", NULL};
    expect_no_remnants(paillier, alive, NULL);
}

static void pairwise(void) {
    enum { N = 3, VALUES = 1003 };
    const msfl_pairwise_info info = {
        .round = {1}, .n_clients = N, .threshold = 2, .min_cohort = 2, .value_bits = 16, .n_values = VALUES};
    msfl_pairwise_client *c[N];
    static uint8_t adverts[N][MSFL_PAIRWISE_ADVERT_BYTES], packets[N][N][MSFL_PAIRWISE_PACKET_BYTES];
    const uint8_t *advert_of[N], *packet_of[N];
    static const bool partners[N] = {true, true, true};
    bool uploaded[N];
    msfl_pairwise_server *server;
    masks_are_secret = true;
    for (uint32_t i = 0; i < N; i++) {
        must(msfl_pairwise_client_new(&info, i, &c[i]));
        msfl_pairwise_client_advert(c[i], adverts[i]);
        advert_of[i] = adverts[i];
    }
    must(msfl_pairwise_server_new(&info, advert_of, &server));
    for (uint32_t i = 0; i < N; i++)
        must(msfl_pairwise_client_share(c[i], advert_of, packets[i][0]));
    must(msfl_pairwise_server_start(server, partners));
    uint32_t *values = secret_values(VALUES, 16);
    uint8_t *upload = msfl_alloc((size_t)msfl_pairwise_upload_bytes(&info), 1);
    for (uint32_t i = 0; i < N; i++) {
        for (uint32_t j = 0; j < N; j++)
            packet_of[j] = packets[j][i];
        must(msfl_pairwise_client_start(c[i], packet_of));
        if (i == 1) continue;
        must(msfl_pairwise_client_mask(c[i], 0, values, upload));
        must(msfl_pairwise_server_upload(server, i, upload, msfl_pairwise_upload_bytes(&info)));
    }
    search_now(TOLD_ALIVE);
    must(msfl_pairwise_server_close(server, uploaded));
    size_t answer_bytes = msfl_pairwise_answer_bytes(&info);
    uint8_t *answer = msfl_secret_alloc(1024);
    for (uint32_t i = 0; i < N; i += 2) {
        must(msfl_pairwise_client_answer(c[i], uploaded, answer));
        must(msfl_pairwise_server_answer(server, i, answer, answer_bytes));
    }
    must(msfl_pairwise_server_unmask(server));
    uint64_t *totals = secret_totals(VALUES);
    must(msfl_pairwise_server_open(server, 0, totals));
    tell(TOLD_SECRET, "totals", totals, VALUES * sizeof *totals, 32);
    search_now(TOLD_ALIVE);
    for (uint32_t i = 0; i < N; i++)
        msfl_pairwise_client_free(c[i]);
    msfl_pairwise_server_free(server);
    msfl_secret_free(values);
    msfl_secret_free(totals);
    msfl_secret_free(answer);
    msfl_free(upload);
    search_now(TOLD_FREED);
}

static void a_pairwise_round(void **state) {
    (void)state;
    if (skipped()) skip();
    static const char *const alive[] = {"random", "packed shares", "mask key", "values", "totals", NULL};
    expect_no_remnants(pairwise, alive, NULL);
}

static void shamir(void) {
    enum { N = 500, T = 3, K = 5 };
    masks_are_secret = true;
    int32_t *secret = (int32_t *)secret_values(N, 18);
    uint32_t *shares = msfl_secret_alloc(K * N * sizeof *shares + 48);
    int32_t *opened = msfl_secret_alloc(N * sizeof *opened + 48);
    uint8_t *packed_shares = msfl_secret_alloc(N * 3 + 36);
    must(msfl_shamir_split(T, K, secret, N, shares));
    const uint32_t members[4] = {0, 4, 1, 3};
    const uint32_t *planes[4] = {shares, shares + 4 * N, shares + N, shares + 3 * N};
    msfl_shamir_pack(shares, N, packed_shares);
    tell(TOLD_SECRET, "packed shares", packed_shares, msfl_shamir_packed_bytes(N), 16);
    must(msfl_shamir_unpack(packed_shares, N, shares));
    must(msfl_shamir_join(T, members, 4, planes, N, opened));
    search_now(TOLD_ALIVE);
    msfl_secret_free(secret);
    msfl_secret_free(shares);
    msfl_secret_free(opened);
    msfl_secret_free(packed_shares);
    search_now(TOLD_FREED);
}

static void shares_of_a_vector(void **state) {
    (void)state;
    if (skipped()) skip();
    static const char *const alive[] = {"values", "shares", "packed shares", NULL};
    expect_no_remnants(shamir, alive, NULL);
}

/* --- the search finds what is left behind --- */

static void careless(void) {
    uint8_t *key = malloc(64);
    uint8_t seed[32];
    msfl_random_bytes(key, 64);
    msfl_random_bytes(seed, sizeof seed);
    search_now(TOLD_ALIVE);
    free(key);
    search_now(TOLD_FREED);
    _exit(seed[0] == 0 && seed[1] == 1 && seed[2] == 7 ? 5 : 0); /* keeps the seed on the stack */
}

static void a_careless_twin_is_found(void **state) {
    (void)state;
    if (skipped()) skip();
    int tells[2], answers[2];
    assert_int_equal(pipe(tells), 0);
    assert_int_equal(pipe(answers), 0);
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        tell_fd = tells[1];
        answer_fd = answers[0];
        careless();
    }
    haystack h = {.buckets = calloc((size_t)1 << BUCKET_BITS, sizeof(uint32_t))};
    telling t;
    uint8_t bytes[64];
    for (int i = 0; i < 2; i++) {
        assert_true(read_all(tells[0], &t, sizeof t) && t.what == TOLD_SECRET && read_all(tells[0], bytes, t.length));
        take_needle(&h, i == 0 ? "in the heap" : "on the stack", bytes, t.length, 16, false);
    }
    for (int i = 0; i < 2; i++) {
        assert_true(read_all(tells[0], &t, sizeof t));
        size_t finds = search(&h, pid, i == 1);
        if (i == 1) assert_int_equal(finds, 2); /* both, but for the bytes that free() writes over */
        assert_int_equal(write(answers[1], "", 1), 1);
    }
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    free(h.entries);
    free(h.buckets);
}

int main(void) {
    if (msfl_crypto_init() != MSFL_OK) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_careless_twin_is_found), cmocka_unit_test(shares_of_a_vector),
        cmocka_unit_test(a_packed_round),           cmocka_unit_test(a_bfv_key_pair),
        cmocka_unit_test(a_paillier_key_pair),      cmocka_unit_test(a_pairwise_round),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
