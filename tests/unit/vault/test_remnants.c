/* No secret of ckks keys, or of the way key files are sealed, stays in memory: as tests/unit/round/test_remnants.c, for
 * numbers in doubles, passphrases, the keys that seal, identities, and what is unsealed. */
#include "he/ckks.h"
#include "makers.h"
#include "medsecurefl/keyfile.h"
#include "vault/keyfile.h"
#include "vault/keystore.h"

/* --- what makes secrets, beside makers.h --- */

msfl_status __real_msfl_argon2id(const void *passphrase, size_t length, const uint8_t *salt, uint32_t passes,
                                 uint64_t memory_bytes, uint8_t *out);
msfl_status __wrap_msfl_argon2id(const void *passphrase, size_t length, const uint8_t *salt, uint32_t passes,
                                 uint64_t memory_bytes, uint8_t *out);
msfl_status __wrap_msfl_argon2id(const void *passphrase, size_t length, const uint8_t *salt, uint32_t passes,
                                 uint64_t memory_bytes, uint8_t *out) {
    msfl_status status = __real_msfl_argon2id(passphrase, length, salt, passes, memory_bytes, out);
    tell(TOLD_PUBLIC, "salt", salt, MSFL_ARGON_SALT_BYTES, 16);
    tell(TOLD_SECRET, "passphrase", passphrase, length, 16);
    tell(TOLD_SECRET, "key of the seal", out, MSFL_HASH_BYTES, 16);
    return status;
}

void __real_msfl_aead_seal(const uint8_t *key, const uint8_t *nonce, const void *data, size_t data_length,
                           const void *message, size_t length, uint8_t *out);
void __wrap_msfl_aead_seal(const uint8_t *key, const uint8_t *nonce, const void *data, size_t data_length,
                           const void *message, size_t length, uint8_t *out);
void __wrap_msfl_aead_seal(const uint8_t *key, const uint8_t *nonce, const void *data, size_t data_length,
                           const void *message, size_t length, uint8_t *out) {
    __real_msfl_aead_seal(key, nonce, data, data_length, message, length, out);
    tell(TOLD_SECRET, "key of a seal", key, MSFL_AEAD_KEY_BYTES, 16);
    tell(TOLD_PUBLIC, "nonce", nonce, MSFL_AEAD_NONCE_BYTES, 16);
}

msfl_status __real_msfl_aead_open(const uint8_t *key, const uint8_t *nonce, const void *data, size_t data_length,
                                  const uint8_t *sealed, size_t length, void *out);
msfl_status __wrap_msfl_aead_open(const uint8_t *key, const uint8_t *nonce, const void *data, size_t data_length,
                                  const uint8_t *sealed, size_t length, void *out);
msfl_status __wrap_msfl_aead_open(const uint8_t *key, const uint8_t *nonce, const void *data, size_t data_length,
                                  const uint8_t *sealed, size_t length, void *out) {
    msfl_status status = __real_msfl_aead_open(key, nonce, data, data_length, sealed, length, out);
    tell(TOLD_SECRET, "key of a seal", key, MSFL_AEAD_KEY_BYTES, 16);
    /* The seed of the identity, and that of the key at the end; what is between them also stands outside the seal. */
    size_t n = length - MSFL_AEAD_TAG_BYTES;
    tell(TOLD_SECRET, "sealed seeds", out, MSFL_SIGN_SEED_BYTES, 16);
    tell(TOLD_SECRET, "sealed seeds", (const uint8_t *)out + n - 32, 32, 16);
    return status;
}

void __real_msfl_sign_keypair(const uint8_t *seed, uint8_t *public_key, uint8_t *secret_key);
void __wrap_msfl_sign_keypair(const uint8_t *seed, uint8_t *public_key, uint8_t *secret_key);
void __wrap_msfl_sign_keypair(const uint8_t *seed, uint8_t *public_key, uint8_t *secret_key) {
    __real_msfl_sign_keypair(seed, public_key, secret_key);
    tell(TOLD_SECRET, "seed of an identity", seed, MSFL_SIGN_SEED_BYTES, 16);
}

/* --- ckks --- */

/** Small polynomials lie about as 32-bit integers, and in doubles before a norm is taken. */
static void other_forms(haystack *h, const char *name, const uint8_t *bytes, size_t length) {
    if (strcmp(name, "small") != 0) return;
    int32_t *s = malloc(length * sizeof *s);
    double *x = malloc(length * sizeof *x);
    assert_true(s != NULL && x != NULL);
    for (size_t i = 0; i < length; i++)
        x[i] = s[i] = (int8_t)bytes[i];
    take_needle(h, "small as integers", s, length * sizeof *s, 64, false);
    take_needle(h, "small as doubles", x, length * sizeof *x, 128, false);
    free(s);
    free(x);
}

static double *secret_doubles(size_t n) {
    double *x = msfl_secret_alloc(n * sizeof *x);
    if (x == NULL) _exit(2);
    return x;
}

static void ckks_numbers(void) {
    const msfl_ckks_request request = {
        .scale_bits = 60, .n_slots = 1024, .n_addends = 4, .value_max = 16, .flood_bits = 10, .n_releases = 2};
    msfl_ckks_params p;
    msfl_ckks *ctx;
    msfl_ckks_secret *secret, *again;
    msfl_ckks_public *public;
    msfl_ckks_plain *plain;
    msfl_ckks_ct *sum, *ct;
    must(msfl_ckks_plan(&request, &p));
    must(msfl_ckks_new(&p, &ctx));
    must(msfl_ckks_secret_new(ctx, &secret));
    must(msfl_ckks_public_new(ctx, secret, &public));
    tell(TOLD_PUBLIC, "seed of a", public->seed, sizeof public->seed, 16);
    must(msfl_ckks_plain_new(ctx, &plain));
    must(msfl_ckks_ct_new(ctx, &sum));
    must(msfl_ckks_ct_new(ctx, &ct));
    uint8_t *bytes = msfl_secret_alloc(1024);
    msfl_ckks_secret_write(ctx, secret, bytes);
    must(msfl_ckks_secret_read(ctx, bytes, msfl_ckks_secret_bytes(ctx), &again));
    uint32_t n = msfl_ckks_slots(ctx);
    double *re = secret_doubles(n), *opened = secret_doubles(n), *flooded = secret_doubles(n), error;
    uint32_t *from = secret_values(n, 20);
    for (uint32_t i = 0; i < n; i++)
        re[i] = ((double)from[i] - 0x80000) * 0x1p-17;
    const msfl_ckks_encoding how = {.step = 0x1p-17};
    must(msfl_ckks_encode(ctx, re, NULL, n, &how, plain));
    tell(TOLD_SECRET, "numbers", re, n * sizeof *re, 32);
    tell(TOLD_SECRET, "coefficients", plain->x, plain->degree * sizeof *plain->x, 32);
    must(msfl_ckks_encrypt(ctx, public, 3, plain, sum));
    must(msfl_ckks_encrypt_seeded(ctx, secret, 3, plain, ct));
    tell(TOLD_PUBLIC, "seed of a", ct->seed, sizeof ct->seed, 16);
    must(msfl_ckks_add(ctx, sum, ct));
    must(msfl_ckks_decrypt_exact(ctx, again, sum, opened, NULL));
    must(msfl_ckks_decrypt(ctx, again, sum, 1, flooded, NULL, &error));
    tell(TOLD_SECRET, "prepared key", secret->base.prepared, (size_t)p.ring_degree * p.n_primes * 8, 16);
    tell(TOLD_SECRET, "opened", opened, n * sizeof *opened, 32);
    tell(TOLD_SECRET, "flooded", flooded, n * sizeof *flooded, 32);
    search_now(TOLD_ALIVE);
    msfl_secret_free(bytes);
    msfl_secret_free(from);
    msfl_secret_free(re);
    msfl_secret_free(opened);
    msfl_secret_free(flooded);
    msfl_ckks_plain_free(plain);
    msfl_ckks_ct_free(sum);
    msfl_ckks_ct_free(ct);
    msfl_ckks_public_free(public);
    msfl_ckks_secret_free(secret);
    msfl_ckks_secret_free(again);
    msfl_ckks_free(ctx);
    search_now(TOLD_FREED);
}

static void ckks_sums(void) {
    enum { VALUES = 1000 };
    const msfl_ckks_sums_request request = {.n_addends = 4, .value_bits = 16, .n_values = VALUES};
    msfl_ckks_params p;
    msfl_ckks *ctx;
    msfl_ckks_secret *secret;
    msfl_ckks_public *public;
    msfl_ckks_ct *sum, *ct;
    must(msfl_ckks_plan_sums(&request, &p));
    must(msfl_ckks_new(&p, &ctx));
    must(msfl_ckks_secret_new(ctx, &secret));
    must(msfl_ckks_public_new(ctx, secret, &public));
    tell(TOLD_PUBLIC, "seed of a", public->seed, sizeof public->seed, 16);
    must(msfl_ckks_ct_new(ctx, &sum));
    must(msfl_ckks_ct_new(ctx, &ct));
    uint32_t *values = secret_values(VALUES, 16);
    uint64_t *totals = secret_totals(VALUES);
    must(msfl_ckks_sums_encrypt(ctx, public, 3, values, VALUES, sum));
    must(msfl_ckks_sums_encrypt_seeded(ctx, secret, 3, values, VALUES, ct));
    tell(TOLD_PUBLIC, "seed of a", ct->seed, sizeof ct->seed, 16);
    must(msfl_ckks_add(ctx, sum, ct));
    must(msfl_ckks_sums_decrypt(ctx, secret, sum, totals));
    tell(TOLD_SECRET, "prepared key", secret->base.prepared, (size_t)p.ring_degree * p.n_primes * 8, 16);
    tell(TOLD_SECRET, "totals", totals, VALUES * sizeof *totals, 32);
    search_now(TOLD_ALIVE);
    msfl_secret_free(values);
    msfl_secret_free(totals);
    msfl_ckks_ct_free(sum);
    msfl_ckks_ct_free(ct);
    msfl_ckks_public_free(public);
    msfl_ckks_secret_free(secret);
    msfl_ckks_free(ctx);
    search_now(TOLD_FREED);
}

static void numbers_of_ckks(void **state) {
    (void)state;
    if (skipped()) skip();
    static const char *const alive[] = {"random", "small as integers", "numbers", "coefficients", "prepared key",
                                        "opened", "flooded",           NULL};
    under_every_kernel(ckks_numbers, alive, other_forms);
}

static void sums_of_ckks(void **state) {
    (void)state;
    if (skipped()) skip();
    static const char *const alive[] = {"random", "small as integers", "values", "prepared key", "totals", NULL};
    under_every_kernel(ckks_sums, alive, other_forms);
}

/* --- key files --- */

static char folder[64];

/** The seed of the public polynomial is random, and no secret. */
static void tell_public_half(void) {
    msfl_keyfile *file;
    must(vault_store_read(folder, VAULT_PUBLIC_NAME, MSFL_KEY_PUBLIC, &file));
    tell(TOLD_PUBLIC, "public half", file->body, file->body_length < 4096 ? file->body_length : 4096, 16);
    msfl_keyfile_free(file);
}

static void key_files(void) {
    char old[] = "five random words are good, so many", new[] = "other words, and a few of them more";
    vault_lock_cost(1, VAULT_MEMORY_MIN);
    msfl_unlock *unlock, *new_unlock;
    must(msfl_unlock_passphrase(old, strlen(old), &unlock));
    must(msfl_unlock_passphrase(new, strlen(new), &new_unlock));
    msfl_wipe(old, sizeof old); /* the caller's own */
    msfl_wipe(new, sizeof new);
    msfl_key_spec spec = msfl_key_spec_default();
    spec.request.n_clients = 4;
    spec.request.n_values = 100;
    msfl_keystore_result result;
    must(msfl_keystore_create(folder, &spec, unlock, &result));
    tell_public_half();
    must(msfl_keystore_rotate(folder, unlock, new_unlock, &result));
    tell_public_half();
    must(msfl_keystore_revoke(folder, result.previous_id, unlock, "test", NULL));
    must(msfl_keystore_rewrap(folder, new_unlock, unlock));
    msfl_keyfile *file;
    msfl_setup *setup;
    msfl_keys *keys;
    must(vault_store_read(folder, VAULT_SECRET_NAME, MSFL_KEY_SECRET, &file));
    must(msfl_keyfile_open(file, 100, unlock, &setup, &keys));
    search_now(TOLD_ALIVE);
    if (vault_unseal_seed(file, new_unlock, &(vault_seed *){NULL}, NULL) != MSFL_ERR_CRYPTO) _exit(2);
    msfl_keys_free(keys);
    msfl_setup_free(setup);
    msfl_keyfile_free(file);
    msfl_unlock_free(unlock);
    msfl_unlock_free(new_unlock);
    search_now(TOLD_FREED);
}

static void keys_in_a_folder(void **state) {
    (void)state;
    if (skipped()) skip();
    static const char *const alive[] = {"passphrase", "random", "small as integers", NULL};
    snprintf(folder, sizeof folder, "%s/msfl-remnants-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    assert_non_null(mkdtemp(folder));
    expect_no_remnants(key_files, alive, other_forms);
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    assert_int_equal(system(command), 0);
}

int main(void) {
    if (msfl_crypto_init() != MSFL_OK) return 1;
    const struct CMUnitTest tests[] = {cmocka_unit_test(keys_in_a_folder), cmocka_unit_test(numbers_of_ckks),
                                       cmocka_unit_test(sums_of_ckks)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
