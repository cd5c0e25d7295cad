/* Programs for valgrind: every secret is undefined memory, so every branch and address that depends on one is reported.
 *
 *   ctime SCHEME         packed, round, answer, bfv, ckks, shamir, pairwise, paillier or vault: must run without a
 * report ctime twins          leak on purpose: by a branch, an index and an address made in a kernel, which must be
 * reported; and by the time of a division, which this tool cannot see
 *
 * Secrets that the library draws are marked where it draws them (base/taint.h); inputs (values, received shares, key
 * files) are marked here. Every result is declared public before it is compared: that it is right is checked too.
 * tests/ctime/run.py starts this with and without twins.
 */
#include "check.h"
#include "he/bfv.h"
#include "he/context.h"
#include "he/paillier.h"
#include "he/pairwise.h"
#include "he/shamir.h"
#include "medsecurefl/round.h"
#include "round/bundle.h"
#include "round/sealed.h"

#if MSFL_TAINT && defined NDEBUG

/* --- packed: key, encryption, opening with a secret key sum; a whole round with sealed keys --- */

static void packed_once(uint32_t bits, uint64_t n_values, uint32_t degree) {
    const msfl_params_request request = {
        .n_clients = 3, .value_bits = bits, .n_values = n_values, .ring_degree = degree};
    static const uint8_t round_seed[MSFL_HASH_BYTES] = {7};
    msfl_params p;
    msfl_packed *ctx;
    msfl_packed_key *key;
    msfl_packed_sum *sum;
    TRY(msfl_params_plan(&request, &p));
    TRY(msfl_packed_new(&p, &ctx));
    TRY(msfl_packed_key_new(ctx, round_seed, n_values, &key));
    TRY(msfl_packed_sum_new(ctx, round_seed, n_values, &sum));
    expect_secret("a key that is not secret", msfl_packed_key_borrow(key), p.ring_degree, sizeof(int32_t));
    uint32_t *values = secret_values(n_values, bits);
    uint64_t *totals = get(n_values, sizeof *totals), slot = 0;
    for (uint64_t j = 0; j < msfl_packed_chunks(ctx, n_values); j++) {
        size_t length = msfl_packed_chunk_bytes(ctx, n_values, j);
        uint8_t *out = get(length, 1);
        TRY(msfl_packed_encrypt(ctx, key, j, values + slot, out));
        TRY(msfl_packed_fold(ctx, sum, j, out, length));
        slot += msfl_packed_chunk_slots(ctx, n_values, j);
        msfl_free(out);
    }
    slot = 0;
    for (uint64_t j = 0; j < msfl_packed_chunks(ctx, n_values); j++) {
        TRY(msfl_packed_open(ctx, sum, j, 1, msfl_packed_key_borrow(key), totals + slot));
        slot += msfl_packed_chunk_slots(ctx, n_values, j);
    }
    expect_totals(totals, values, n_values, 1);
    /* Refusals: a wrong key, and one out of range. */
    int32_t *wrong = get(p.ring_degree, sizeof *wrong);
    memcpy(wrong, msfl_packed_key_borrow(key), p.ring_degree * sizeof *wrong);
    wrong[5] ^= 2;
    EXPECT(msfl_packed_open(ctx, sum, 0, 1, wrong, totals) == MSFL_ERR_CRYPTO);
    wrong[5] += 1000;
    EXPECT(msfl_packed_open(ctx, sum, 0, 1, wrong, totals) == MSFL_ERR_CRYPTO);
    msfl_free(wrong);
    msfl_free(values);
    msfl_free(totals);
    msfl_packed_key_free(key);
    msfl_packed_sum_free(sum);
    msfl_packed_free(ctx);
}

static void packed(void) {
    packed_once(16, 9001, 2048);  /* a last chunk with an incomplete last row */
    packed_once(8, 3001, 1024);   /* one prime */
    packed_once(24, 50003, 8192); /* many primes */
    packed_once(32, 77, 4096);    /* the widest values */
}

static void whole_round(void) {
    enum { CLIENTS = 3, VALUES = 4100 };
    const msfl_params_request request = {
        .n_clients = CLIENTS, .value_bits = 16, .n_values = VALUES, .ring_degree = 2048};
    msfl_round_info info = {.number = 1, .n_clients = CLIENTS, .min_cohort = CLIENTS, .n_values = VALUES};
    msfl_packed *ctx;
    msfl_authority *authority;
    msfl_round_coordinator *coordinator;
    TRY(msfl_params_plan(&request, &info.params));
    TRY(msfl_packed_new(&info.params, &ctx));
    TRY(msfl_authority_new(&authority));
    msfl_authority_public_key(authority, info.authority);
    TRY(msfl_round_coordinator_new(ctx, &info, &coordinator));
    uint32_t *values = secret_values(VALUES, 16);
    size_t n_chunks = msfl_packed_chunks(ctx, VALUES), length = 0;
    for (size_t j = 0; j < n_chunks; j++)
        length += msfl_packed_chunk_bytes(ctx, VALUES, j);
    size_t bundle_bytes = msfl_round_bundle_bytes(&info.params);
    uint8_t *upload = get(length, 1), *bundle = get(bundle_bytes, 1), hash[MSFL_HASH_BYTES];
    for (uint32_t i = 0; i < CLIENTS; i++) {
        msfl_round_client *client;
        TRY(msfl_round_client_new(ctx, &info, i, &client));
        size_t at = 0, slot = 0;
        for (size_t j = 0; j < n_chunks; j++) {
            TRY(msfl_round_client_encrypt(client, j, values + slot, upload + at));
            at += msfl_packed_chunk_bytes(ctx, VALUES, j);
            slot += msfl_packed_chunk_slots(ctx, VALUES, j);
        }
        TRY(msfl_round_client_finish(client, hash, bundle));
        TRY(msfl_round_coordinator_upload(coordinator, i, upload, length, hash, bundle, bundle_bytes));
        msfl_round_client_free(client);
    }
    msfl_round_certificate certificate;
    int32_t *key_sum = get(info.params.ring_degree, sizeof *key_sum);
    TRY(msfl_round_coordinator_certify(coordinator, &certificate));
    TRY(msfl_authority_answer(authority, &info, certificate.clients, certificate.bundles, certificate.ciphertext_hashes,
                              certificate.n, key_sum));
    MSFL_SECRET(key_sum, info.params.ring_degree * sizeof *key_sum); /* towards everybody else it is one */
    TRY(msfl_round_coordinator_release(coordinator, key_sum));
    uint64_t *totals = get(VALUES, sizeof *totals);
    for (size_t j = 0, slot = 0; j < n_chunks; j++) {
        TRY(msfl_round_coordinator_open(coordinator, j, totals + slot));
        slot += msfl_packed_chunk_slots(ctx, VALUES, j);
    }
    expect_totals(totals, values, VALUES, CLIENTS);
    /* A bundle with a coefficient out of range: refused, and where it is does not show. */
    msfl_bundle_binding binding = {.ring_degree = info.params.ring_degree, .client = 1};
    size_t plain_bytes = msfl_bundle_plain_bytes(binding.ring_degree);
    uint8_t *plain = get(plain_bytes, 1);
    memcpy(plain, "MSBB\1", 5);
    plain[9] = (uint8_t)(binding.ring_degree >> 8);
    plain[12] = 1;
    for (int bad = 0; bad < 2; bad++) {
        plain[100] = bad ? 0xff : 0;
        plain[101] = bad ? 0xff : 0;
        MSFL_SECRET(plain, plain_bytes);
        EXPECT(msfl_bundle_add(&binding, plain, plain_bytes, key_sum) == (bad ? MSFL_ERR_CRYPTO : MSFL_OK));
        MSFL_DECLASSIFY(plain, plain_bytes);
    }
    msfl_free(plain);
    msfl_free(values);
    msfl_free(totals);
    msfl_free(key_sum);
    msfl_free(upload);
    msfl_free(bundle);
    msfl_round_coordinator_free(coordinator);
    msfl_authority_free(authority);
    msfl_packed_free(ctx);
}

/* --- bfv: key pair, key file, both encryptions, opening --- */

static void bfv_once(uint32_t bits, uint32_t n_values, uint32_t degree) {
    const msfl_bfv_request request = {.n_addends = 4, .value_bits = bits, .n_values = n_values, .ring_degree = degree};
    msfl_bfv_params p;
    msfl_bfv *ctx;
    msfl_bfv_secret *secret, *again;
    msfl_bfv_public *public;
    msfl_bfv_ct *sum, *ct;
    TRY(msfl_bfv_plan(&request, &p));
    TRY(msfl_bfv_new(&p, &ctx));
    TRY(msfl_bfv_secret_new(ctx, &secret));
    TRY(msfl_bfv_public_new(ctx, secret, &public));
    expect_secret("a key that is not secret", secret->base.s, degree, sizeof *secret->base.s);
    TRY(msfl_bfv_ct_new(ctx, &sum));
    TRY(msfl_bfv_ct_new(ctx, &ct));
    uint8_t *bytes = get(msfl_bfv_secret_bytes(ctx), 1);
    msfl_bfv_secret_write(ctx, secret, bytes); /* the seed in it is undefined */
    TRY(msfl_bfv_secret_read(ctx, bytes, msfl_bfv_secret_bytes(ctx), &again));
    if (n_values > msfl_bfv_chunk_values(ctx, n_values, 0)) n_values = msfl_bfv_chunk_values(ctx, n_values, 0);
    uint32_t *values = secret_values(n_values, bits);
    uint64_t *totals = get(n_values, sizeof *totals);
    TRY(msfl_bfv_encrypt(ctx, public, 3, values, n_values, sum));
    TRY(msfl_bfv_encrypt_seeded(ctx, secret, 3, values, n_values, ct));
    TRY(msfl_bfv_decrypt(ctx, again, ct, totals));
    TRY(msfl_bfv_add(ctx, sum, ct));
    TRY(msfl_bfv_decrypt(ctx, again, sum, totals));
    expect_totals(totals, values, n_values, 2);
    sum->c0[11] ^= 1;
    msfl_status status = msfl_bfv_decrypt(ctx, secret, sum, totals);
    EXPECT(status == MSFL_ERR_CRYPTO || status == MSFL_OK); /* what was changed may be a slot's lowest bit */
    msfl_free(bytes);
    msfl_free(values);
    msfl_free(totals);
    msfl_bfv_ct_free(sum);
    msfl_bfv_ct_free(ct);
    msfl_bfv_public_free(public);
    msfl_bfv_secret_free(secret);
    msfl_bfv_secret_free(again);
    msfl_bfv_free(ctx);
}

static void bfv(void) {
    bfv_once(8, 1501, 2048);
    bfv_once(16, 16001, 4096);
    bfv_once(24, 20005, 8192);
}

/* --- shamir --- */

static void shamir(void) {
    enum { N = 201, T = 3, K = 5 };
    static int32_t secret[N], opened[N];
    static uint32_t shares[K * N], sum[N];
    static uint8_t packed_shares[N * 3];
    for (int i = 0; i < N; i++)
        secret[i] = i * 3907 - MSFL_SHAMIR_MAX;
    MSFL_SECRET(secret, sizeof secret);
    TRY(msfl_shamir_split(T, K, secret, N, shares));
    expect_secret("shares that are not secret", shares, (size_t)K * N, sizeof shares[0]);
    memcpy(sum, shares, sizeof sum);
    msfl_shamir_add(sum, shares + N, N);
    msfl_shamir_pack(shares, N, packed_shares);
    TRY(msfl_shamir_unpack(packed_shares, N, shares));
    static const uint32_t members[4] = {0, 4, 1, 3};
    const uint32_t *planes[4] = {shares, shares + 4 * N, shares + N, shares + 3 * N};
    TRY(msfl_shamir_join(T, members, 4, planes, N, opened));
    MSFL_DECLASSIFY(opened, sizeof opened);
    MSFL_DECLASSIFY(secret, sizeof secret);
    EXPECT(memcmp(opened, secret, sizeof secret) == 0);
    shares[N + 7] ^= 1; /* a wrong share, and one out of range, are refused */
    EXPECT(msfl_shamir_join(T, members, 4, planes, N, opened) != MSFL_OK);
    shares[N + 7] = UINT32_MAX;
    MSFL_SECRET(&shares[N + 7], sizeof shares[0]);
    EXPECT(msfl_shamir_join(T, members, 4, planes, N, opened) == MSFL_ERR_FORMAT);
    secret[9] = MSFL_SHAMIR_MAX + 1;
    MSFL_SECRET(secret, sizeof secret);
    EXPECT(msfl_shamir_split(T, K, secret, N, shares) == MSFL_ERR_NUMERIC);
}

/* --- a member's answer, to the coordinator and to the hospitals, whose keys are as secret as the sum --- */

static void answer(void) {
    enum { K = 3, DEGREE = 1024 };
    msfl_identity id[K + 1];
    msfl_identity_secret *secret[K + 1];
    static uint32_t sum[DEGREE], opened[DEGREE], expected[DEGREE];
    static const uint8_t round_id[32] = {1}, cohort[32] = {2};
    const uint32_t members[K] = {0, 1, 2};
    for (uint8_t i = 0; i <= K; i++) {
        uint8_t seed[32] = {i};
        TRY(msfl_identity_new(seed, &id[i], &secret[i]));
        MSFL_SECRET(secret[i]->box, sizeof secret[i]->box);
    }
    const msfl_roster_info roster = {1, MSFL_CUSTODY_COMMITTEE, id[K], id, K, K, members, K, 2, 0};
    const msfl_answer_binding binding = {round_id, cohort, 1, DEGREE};
    for (uint32_t i = 0; i < DEGREE; i++)
        sum[i] = expected[i] = i * 767;
    MSFL_SECRET(sum, sizeof sum);
    uint8_t *body = get(msfl_sealed_bytes(DEGREE, K), 1);
    TRY(msfl_sealed_make(&binding, secret[1], &roster, sum, body));
    TRY(msfl_sealed_check(&binding, &roster, body));
    const uint8_t *sealed = body + MSFL_SEALED_KEPT, *wraps = sealed + msfl_sealed_sum_bytes(DEGREE);
    TRY(msfl_sealed_open(&binding, &roster, 2, secret[2], body, sealed, wraps + 2 * MSFL_WRAP_BYTES, opened));
    expect_secret("an opened answer that is not secret", opened, DEGREE, sizeof opened[0]);
    MSFL_DECLASSIFY(opened, sizeof opened);
    EXPECT(memcmp(opened, expected, sizeof opened) == 0);
    EXPECT(msfl_sealed_open(&binding, &roster, 0, secret[0], body, sealed, wraps + MSFL_WRAP_BYTES, opened) ==
           MSFL_ERR_CRYPTO);
    TRY(msfl_answer_seal(&binding, secret[1], &id[K], sum, body));
    TRY(msfl_answer_open(&binding, &id[1], &id[K], secret[K], body, opened));
    MSFL_DECLASSIFY(opened, sizeof opened);
    EXPECT(memcmp(opened, expected, sizeof opened) == 0);
    msfl_free(body);
}

/* --- pairwise: one of three clients drops out --- */

static void pairwise(void) {
    enum { N = 3, VALUES = 1003 };
    const msfl_pairwise_info info = {
        .round = {1}, .n_clients = N, .threshold = 2, .min_cohort = 2, .value_bits = 16, .n_values = VALUES};
    static msfl_pairwise_client *c[N];
    static uint8_t adverts[N][MSFL_PAIRWISE_ADVERT_BYTES], packets[N][N][MSFL_PAIRWISE_PACKET_BYTES];
    const uint8_t *advert_of[N], *packet_of[N];
    static const bool partners[N] = {true, true, true};
    bool uploaded[N];
    msfl_pairwise_server *server;
    for (uint32_t i = 0; i < N; i++) {
        TRY(msfl_pairwise_client_new(&info, i, &c[i]));
        msfl_pairwise_client_advert(c[i], adverts[i]);
        advert_of[i] = adverts[i];
    }
    TRY(msfl_pairwise_server_new(&info, advert_of, &server));
    for (uint32_t i = 0; i < N; i++)
        TRY(msfl_pairwise_client_share(c[i], advert_of, packets[i][0]));
    TRY(msfl_pairwise_server_start(server, partners));
    uint32_t *values = secret_values(VALUES, 16);
    uint8_t *upload = get((size_t)msfl_pairwise_upload_bytes(&info), 1);
    for (uint32_t i = 0; i < N; i++) {
        for (uint32_t j = 0; j < N; j++)
            packet_of[j] = packets[j][i];
        TRY(msfl_pairwise_client_start(c[i], packet_of));
        if (i == 1) continue;
        TRY(msfl_pairwise_client_mask(c[i], 0, values, upload));
        TRY(msfl_pairwise_server_upload(server, i, upload, msfl_pairwise_upload_bytes(&info)));
    }
    TRY(msfl_pairwise_server_close(server, uploaded));
    size_t answer_bytes = msfl_pairwise_answer_bytes(&info), head = MSFL_PAIRWISE_ANSWER_HEADER + N;
    uint8_t *answer = get(answer_bytes, 1);
    for (uint32_t i = 0; i < N; i += 2) {
        TRY(msfl_pairwise_client_answer(c[i], uploaded, answer));
        MSFL_SECRET(answer + head, answer_bytes - head); /* shares: secret towards everybody but the coordinator */
        TRY(msfl_pairwise_server_answer(server, i, answer, answer_bytes));
    }
    TRY(msfl_pairwise_server_unmask(server));
    uint64_t *totals = get(VALUES, sizeof *totals);
    TRY(msfl_pairwise_server_open(server, 0, totals));
    expect_totals(totals, values, VALUES, 2);
    for (uint32_t i = 0; i < N; i++)
        msfl_pairwise_client_free(c[i]);
    msfl_pairwise_server_free(server);
    msfl_free(values);
    msfl_free(upload);
    msfl_free(answer);
    msfl_free(totals);
}

/* --- paillier: primes of 256 bits drawn, a key of 2048 bits read and used --- */

#include "paillier_key.h"

static void paillier(void) {
    msfl_small_primes primes;
    msfl_work w;
    TRY(msfl_small_primes_new(&primes));
    TRY(msfl_work_init(&w, 64));
    msfl_limb *p = msfl_work_take(&w, 4), *q = msfl_work_take(&w, 4);
    msfl_paillier_prime(&primes, p, 4, &w);
    do {
        msfl_paillier_prime(&primes, q, 4, &w);
    } while (!msfl_paillier_pair(p, q, 4, &w));
    msfl_work_clear(&w);
    msfl_free(primes.primes);

    static uint8_t bytes[sizeof paillier_key];
    memcpy(bytes, paillier_key, sizeof bytes);
    MSFL_SECRET(bytes + 12, 256);
    msfl_paillier_secret *key;
    TRY(msfl_paillier_secret_read(bytes, sizeof bytes, &key));
    const msfl_paillier_public *public = msfl_paillier_public_borrow(key);
    expect_secret("a key that is not secret", key->p_inverse, 16, 8);
    static const uint8_t label[MSFL_HASH_BYTES] = {5};
    msfl_paillier_shape shape;
    TRY(msfl_paillier_plan(2048, 4, 16, 100, 0, &shape));
    uint32_t *values = secret_values(100, 16);
    uint64_t totals[100];
    size_t length = msfl_paillier_chunk_bytes(&shape, 0);
    uint8_t *sum = get(length, 1), *one = get(length, 1);
    for (int method = 1; method <= 2; method++) {
        msfl_paillier_encryptor *e;
        TRY(msfl_paillier_encryptor_new(public, (msfl_paillier_method)method, &e));
        TRY(msfl_paillier_encrypt(e, &shape, label, 0, values, method == 1 ? sum : one));
        msfl_paillier_encryptor_free(e);
    }
    TRY(msfl_paillier_add(public, &shape, label, 0, sum, one, length));
    TRY(msfl_paillier_decrypt(key, &shape, label, 0, sum, length, NULL, totals));
    expect_totals(totals, values, 100, 2);
    msfl_free(values);
    msfl_free(sum);
    msfl_free(one);
    msfl_paillier_secret_free(key);
}

/* --- twins that leak --- */

static volatile uint64_t sink;

static uint32_t one_secret(void) {
    uint32_t s;
    msfl_random_bytes(&s, sizeof s);
    return s;
}

static void branch(void) {
    if (one_secret() & 1) sink++;
}

static void index_twin(void) {
    static volatile uint8_t table[256];
    sink = table[one_secret() & 255];
}

/** Two cells of a key exchanged through a table, as a careless kernel might. */
static void cell_twin(void) {
    static volatile int32_t popcount[256];
    const msfl_kernel *kernel;
    TRY(msfl_kernel_choose(&kernel));
    _Alignas(64) static uint8_t coins[32 * 11];
    int8_t s[32];
    msfl_random_bytes(coins, sizeof coins);
    kernel->binomial(s, coins, 82, 32);
    sink = (uint64_t)popcount[(uint8_t)s[3]];
}

static void division(void) {
    sink = 1000003u / (one_secret() | 1);
}

/** Each twin is reported, but for the last: what valgrind does not see, so that nobody believes it does. */
static void twins(void) {
    static const struct {
        const char *name;
        void (*run)(void);
        bool seen;
    } all[] = {{"branch", branch, true},
               {"index", index_twin, true},
               {"cell", cell_twin, true},
               {"division", division, false}};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        unsigned before = VALGRIND_COUNT_ERRORS;
        all[i].run();
        bool seen = VALGRIND_COUNT_ERRORS > before;
        printf("twin %s is %s\n", all[i].name, seen ? "seen" : "not seen");
        if (seen != all[i].seen)
            stop(seen ? "valgrind has learnt to see this: say so in docs/security.md" : "a leak was not seen");
    }
}

static const struct {
    const char *name;
    void (*run)(void);
} programs[] = {
    {"packed", packed}, {"round", whole_round}, {"answer", answer},     {"bfv", bfv},           {"ckks", ctime_ckks},
    {"shamir", shamir}, {"pairwise", pairwise}, {"paillier", paillier}, {"vault", ctime_vault}, {"twins", twins},
};

int main(int argc, char **argv) {
    if (msfl_crypto_init() != MSFL_OK) return 1;
    if (!RUNNING_ON_VALGRIND) {
        printf("ctime: this program is for valgrind, see tests/ctime/run.py\n");
        return 77;
    }
    msfl_taint_begin();
    for (int a = 1; a < argc; a++) {
        bool found = false;
        for (size_t i = 0; i < sizeof programs / sizeof programs[0]; i++) {
            if (strcmp(argv[a], programs[i].name) != 0) continue;
            programs[i].run();
            printf("%s done\n", programs[i].name);
            found = true;
        }
        if (!found) return 2;
    }
    return 0;
}

#else

int main(void) {
    printf("skipped: no valgrind header when this was configured, or a build with assertions or sanitizers\n");
    return 77;
}

#endif
