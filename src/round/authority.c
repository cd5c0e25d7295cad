#include "round/bundle.h"
#include "round/info.h"

#include "base/error.h"
#include "base/mem.h"
#include "base/taint.h"

#include <inttypes.h>
#include <pthread.h>
#include <string.h>

typedef uint8_t round_id[MSFL_HASH_BYTES];

struct msfl_authority {
    uint8_t public_key[MSFL_PUBLIC_KEY_BYTES];
    uint8_t *secret_key; /* secret memory */
    pthread_mutex_t lock;
    round_id *answered;
    size_t n_answered, capacity;
};

msfl_status msfl_authority_new(msfl_authority **out) {
    *out = NULL;
    msfl_status status = msfl_crypto_init();
    if (status != MSFL_OK) return status;
    msfl_authority *a = msfl_alloc(1, sizeof *a);
    if (a == NULL) return MSFL_NO_MEMORY;
    if (pthread_mutex_init(&a->lock, NULL) != 0) {
        msfl_free(a);
        return msfl_fail(MSFL_ERR_SYSTEM, "authority: no lock to be had");
    }
    a->secret_key = msfl_secret_alloc(MSFL_BOX_SECRET_BYTES);
    if (a->secret_key == NULL) {
        msfl_authority_free(a);
        return MSFL_ERR_MEMORY;
    }
    msfl_box_keypair(a->public_key, a->secret_key);
    *out = a;
    return MSFL_OK;
}

void msfl_authority_free(msfl_authority *authority) {
    if (authority == NULL) return;
    msfl_secret_free(authority->secret_key);
    msfl_free(authority->answered);
    pthread_mutex_destroy(&authority->lock);
    msfl_free(authority);
}

void msfl_authority_public_key(const msfl_authority *authority, uint8_t out[MSFL_PUBLIC_KEY_BYTES]) {
    memcpy(out, authority->public_key, MSFL_PUBLIC_KEY_BYTES);
}

/** Claim the round: from here on it counts as answered, whatever happens. Two different answers in one round could
 *  differ by one client's key, so nothing is opened before this holds. */
static msfl_status claim(msfl_authority *a, const round_id id, uint64_t number) {
    msfl_status status = MSFL_OK;
    pthread_mutex_lock(&a->lock);
    for (size_t i = 0; i < a->n_answered; i++) {
        if (memcmp(a->answered[i], id, sizeof(round_id)) == 0) {
            status = msfl_fail(MSFL_ERR_POLICY,
                               "authority: round %" PRIu64
                               " was answered or tried before; repeat it as a new round with new keys",
                               number);
            goto done;
        }
    }
    if (a->n_answered == MSFL_AUTHORITY_ROUNDS_MAX) {
        /* Forgetting the oldest would let it be asked again. */
        status = msfl_fail(MSFL_ERR_LIMIT, "authority: %d rounds answered with one key; start a new authority",
                           MSFL_AUTHORITY_ROUNDS_MAX);
        goto done;
    }
    status = msfl_grow((void **)&a->answered, &a->capacity, a->n_answered + 1, sizeof(round_id));
    if (status != MSFL_OK) goto done;
    memcpy(a->answered[a->n_answered++], id, sizeof(round_id));
done:
    pthread_mutex_unlock(&a->lock);
    return status;
}

static msfl_status check_cohort(const msfl_round_info *info, const uint32_t *clients, size_t n) {
    if (n < info->min_cohort) {
        return msfl_fail(MSFL_ERR_POLICY,
                         "authority: round %" PRIu64 ": a cohort of %zu, at least %" PRIu32 " is needed", info->number,
                         n, info->min_cohort);
    }
    if (n > info->n_clients) {
        return msfl_fail(MSFL_ERR_POLICY, "authority: round %" PRIu64 ": a cohort of %zu from a roster of %" PRIu32,
                         info->number, n, info->n_clients);
    }
    for (size_t i = 0; i < n; i++) {
        if (clients[i] >= info->n_clients) {
            return msfl_fail(MSFL_ERR_POLICY,
                             "authority: round %" PRIu64 ": client %" PRIu32 " is not in the roster of %" PRIu32,
                             info->number, clients[i], info->n_clients);
        }
        if (i > 0 && clients[i] <= clients[i - 1]) {
            return msfl_fail(MSFL_ERR_POLICY, "authority: round %" PRIu64 ": client %" PRIu32 " %s", info->number,
                             clients[i], clients[i] == clients[i - 1] ? "is named twice" : "is out of order");
        }
    }
    return MSFL_OK;
}

msfl_status msfl_authority_answer(msfl_authority *authority, const msfl_round_info *info, const uint32_t *clients,
                                  const uint8_t *const *bundles, const uint8_t (*ciphertext_hashes)[MSFL_HASH_BYTES],
                                  size_t n, int32_t *key_sum) {
    /* One block for both: no single key and no partial sum ever lies in ordinary memory. */
    int32_t *sum = NULL;
    msfl_status status = msfl_round_info_check(info);
    if (status != MSFL_OK) return msfl_fail_in(status, "authority");
    const uint32_t degree = info->params.ring_degree;
    memset(key_sum, 0, degree * sizeof *key_sum);
    if (memcmp(info->authority, authority->public_key, MSFL_PUBLIC_KEY_BYTES) != 0) {
        return msfl_fail(MSFL_ERR_CRYPTO, "authority: round %" PRIu64 " names the key of another authority",
                         info->number);
    }
    /* Before the claim: a want of memory costs no round. */
    const size_t sum_bytes = degree * sizeof *sum, plain_bytes = msfl_bundle_plain_bytes(degree);
    sum = msfl_secret_alloc((sum_bytes + plain_bytes + 63) / 64 * 64);
    if (sum == NULL) return MSFL_ERR_MEMORY;
    msfl_bundle_binding binding = {.ring_degree = degree};
    msfl_round_id(info, binding.round_id);
    status = claim(authority, binding.round_id, info->number);
    if (status == MSFL_OK) status = check_cohort(info, clients, n);
    if (status != MSFL_OK) goto done;
    uint8_t *plain = (uint8_t *)sum + sum_bytes;
    memset(sum, 0, sum_bytes);
    for (size_t i = 0; i < n; i++) {
        binding.client = clients[i];
        memcpy(binding.ciphertext_hash, ciphertext_hashes[i], MSFL_HASH_BYTES);
        status = msfl_box_open(authority->public_key, authority->secret_key, bundles[i],
                               plain_bytes + MSFL_BOX_SEAL_BYTES, plain);
        if (status == MSFL_OK) status = msfl_bundle_add(&binding, plain, plain_bytes, sum);
        msfl_wipe(plain, plain_bytes);
        if (status != MSFL_OK) {
            msfl_fail_in(status, "authority: round %" PRIu64 ", client %" PRIu32, info->number, clients[i]);
            goto done;
        }
    }
    memcpy(key_sum, sum, sum_bytes);
    MSFL_DECLASSIFY(key_sum, sum_bytes); /* released by the protocol */
done:
    msfl_secret_free(sum);
    return status;
}
