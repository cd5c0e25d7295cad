#include "round/info.h"

#include "base/error.h"
#include "base/mem.h"
#include "base/taint.h"
#include "he/security.h"

#include <inttypes.h>
#include <pthread.h>
#include <string.h>

typedef enum phase {
    COLLECTING, /* uploads are folded as they come */
    CERTIFIED,  /* the cohort is closed */
    RELEASED,   /* the key sum is here: chunks may be opened */
    SPOILED     /* a fold stopped half way: this sum means nothing any more */
} phase;

typedef struct upload {
    uint8_t *bundle; /* NULL: this client is not in */
    uint8_t ciphertext_hash[MSFL_HASH_BYTES];
} upload;

struct msfl_round_coordinator {
    const msfl_packed *ctx;
    msfl_round_info info;
    uint8_t round_id[MSFL_HASH_BYTES];
    uint64_t n_chunks, ciphertext_bytes;
    size_t bundle_bytes;
    pthread_mutex_t lock; /* guards all below; opening reads the sum without it, once RELEASED */
    phase phase;
    msfl_packed_sum *sum;
    upload *uploads; /* one place per client of the roster */
    size_t n;        /* how many are in */
    /* the certificate: n of each once CERTIFIED */
    uint32_t *clients;
    const uint8_t **bundles;
    uint8_t (*hashes)[MSFL_HASH_BYTES];
    int32_t *key_sum;
};

msfl_status msfl_round_coordinator_new(const msfl_packed *ctx, const msfl_round_info *info,
                                       msfl_round_coordinator **out) {
    *out = NULL;
    msfl_status status = msfl_round_info_check_with(info, ctx);
    if (status == MSFL_OK) status = msfl_crypto_init();
    if (status != MSFL_OK) return status;
    msfl_round_coordinator *c = msfl_alloc(1, sizeof *c);
    if (c == NULL) return MSFL_NO_MEMORY;
    if (pthread_mutex_init(&c->lock, NULL) != 0) {
        msfl_free(c);
        return msfl_fail(MSFL_ERR_SYSTEM, "round %" PRIu64 ": no lock to be had", info->number);
    }
    c->ctx = ctx;
    c->info = *info;
    c->n_chunks = msfl_packed_chunks(ctx, info->n_values);
    c->ciphertext_bytes = msfl_round_ciphertext_bytes(ctx, info->n_values);
    c->bundle_bytes = msfl_round_bundle_bytes(&info->params);
    msfl_round_id(info, c->round_id);
    /* All that certify and release need is allocated here: a round that got so far does not fail for memory. */
    c->uploads = msfl_alloc(info->n_clients, sizeof *c->uploads);
    c->clients = msfl_alloc(info->n_clients, sizeof *c->clients);
    c->bundles = msfl_alloc(info->n_clients, sizeof *c->bundles);
    c->hashes = msfl_alloc(info->n_clients, sizeof *c->hashes);
    c->key_sum = msfl_alloc(info->params.ring_degree, sizeof *c->key_sum);
    if (c->uploads == NULL || c->clients == NULL || c->bundles == NULL || c->hashes == NULL || c->key_sum == NULL) {
        status = MSFL_NO_MEMORY;
    } else {
        status = msfl_packed_sum_new(ctx, c->round_id, info->n_values, &c->sum);
    }
    if (status != MSFL_OK) {
        msfl_round_coordinator_free(c);
        return status;
    }
    *out = c;
    return MSFL_OK;
}

void msfl_round_coordinator_free(msfl_round_coordinator *c) {
    if (c == NULL) return;
    for (uint32_t i = 0; c->uploads != NULL && i < c->info.n_clients; i++)
        msfl_free(c->uploads[i].bundle);
    if (c->key_sum != NULL) msfl_wipe(c->key_sum, c->info.params.ring_degree * sizeof *c->key_sum);
    msfl_free(c->uploads);
    msfl_free(c->clients);
    msfl_free(c->bundles);
    msfl_free(c->hashes);
    msfl_free(c->key_sum);
    msfl_packed_sum_free(c->sum);
    pthread_mutex_destroy(&c->lock);
    msfl_free(c);
}

/** Under the lock: whether the round is in the phase that `what` needs. */
static msfl_status expect(const msfl_round_coordinator *c, phase wanted, const char *what) {
    static const char *const now[] = {"is still collecting uploads", "has closed its cohort", "has its key sum already",
                                      "was spoiled by a failure while an upload was folded; repeat it as a new round"};
    if (c->phase == wanted) return MSFL_OK;
    return msfl_fail(MSFL_ERR_POLICY, "%s: round %" PRIu64 " %s", what, c->info.number, now[c->phase]);
}

/** Under the lock: whether this client's upload is still welcome. */
static msfl_status welcome(const msfl_round_coordinator *c, uint32_t client) {
    msfl_status status = expect(c, COLLECTING, "upload refused");
    if (status != MSFL_OK) return status;
    if (c->uploads[client].bundle != NULL) {
        return msfl_fail(MSFL_ERR_EXISTS, "its update is in round %" PRIu64 " already", c->info.number);
    }
    return MSFL_OK;
}

/** Everything that can be wrong with the bytes themselves; reads only, needs no lock. */
static msfl_status check_ciphertext(const msfl_round_coordinator *c, uint32_t client, const uint8_t *ciphertext,
                                    const uint8_t ciphertext_hash[MSFL_HASH_BYTES]) {
    uint8_t actual[MSFL_HASH_BYTES];
    msfl_hash h;
    msfl_round_ciphertext_hash_init(&h, c->round_id, client, c->ciphertext_bytes);
    msfl_hash_add(&h, ciphertext, (size_t)c->ciphertext_bytes);
    msfl_hash_final(&h, actual);
    if (!msfl_equal(actual, ciphertext_hash, MSFL_HASH_BYTES)) {
        return msfl_fail(MSFL_ERR_CRYPTO,
                         "the ciphertext is not the one that was hashed for this round and client; send it again");
    }
    for (uint64_t j = 0; j < c->n_chunks; j++) {
        size_t length = msfl_packed_chunk_bytes(c->ctx, c->info.n_values, j);
        msfl_status status = msfl_packed_check(c->ctx, c->info.n_values, j, ciphertext, length);
        if (status != MSFL_OK) return msfl_fail_in(status, "chunk %" PRIu64, j);
        ciphertext += length;
    }
    return MSFL_OK;
}

/** Under the lock. The bytes were checked, so a failure here is one of this machine: the sum is then given up. */
static msfl_status fold(msfl_round_coordinator *c, const uint8_t *ciphertext) {
    for (uint64_t j = 0; j < c->n_chunks; j++) {
        size_t length = msfl_packed_chunk_bytes(c->ctx, c->info.n_values, j);
        msfl_status status = msfl_packed_fold(c->ctx, c->sum, j, ciphertext, length);
        if (status != MSFL_OK) {
            if (j > 0) c->phase = SPOILED;
            return msfl_fail_in(status, "folding chunk %" PRIu64, j);
        }
        ciphertext += length;
    }
    return MSFL_OK;
}

static msfl_status take(msfl_round_coordinator *c, uint32_t client, const uint8_t *ciphertext, size_t length,
                        const uint8_t ciphertext_hash[MSFL_HASH_BYTES], const uint8_t *bundle, size_t bundle_length) {
    if (client >= c->info.n_clients) {
        return msfl_fail(MSFL_ERR_POLICY, "not in the roster of %" PRIu32, c->info.n_clients);
    }
    if (length != c->ciphertext_bytes) {
        return msfl_fail(MSFL_ERR_FORMAT, "a ciphertext of %zu bytes, round %" PRIu64 " has %" PRIu64, length,
                         c->info.number, c->ciphertext_bytes);
    }
    if (bundle_length != c->bundle_bytes) {
        return msfl_fail(MSFL_ERR_FORMAT, "a key bundle of %zu bytes, round %" PRIu64 " has %zu", bundle_length,
                         c->info.number, c->bundle_bytes);
    }
    /* Asked twice: now, to spare the work, and again with the lock held, when it counts. */
    pthread_mutex_lock(&c->lock);
    msfl_status status = welcome(c, client);
    pthread_mutex_unlock(&c->lock);
    if (status != MSFL_OK) return status;
    status = check_ciphertext(c, client, ciphertext, ciphertext_hash);
    if (status != MSFL_OK) return status;
    uint8_t *kept = msfl_alloc(bundle_length, 1);
    if (kept == NULL) return MSFL_NO_MEMORY;
    memcpy(kept, bundle, bundle_length);

    pthread_mutex_lock(&c->lock);
    status = welcome(c, client);
    if (status == MSFL_OK) status = fold(c, ciphertext);
    if (status == MSFL_OK) {
        upload *u = &c->uploads[client];
        u->bundle = kept;
        kept = NULL;
        memcpy(u->ciphertext_hash, ciphertext_hash, MSFL_HASH_BYTES);
        c->n++;
    }
    pthread_mutex_unlock(&c->lock);
    msfl_free(kept);
    return status;
}

msfl_status msfl_round_coordinator_upload(msfl_round_coordinator *c, uint32_t client, const uint8_t *ciphertext,
                                          size_t length, const uint8_t ciphertext_hash[MSFL_HASH_BYTES],
                                          const uint8_t *bundle, size_t bundle_length) {
    msfl_status status = take(c, client, ciphertext, length, ciphertext_hash, bundle, bundle_length);
    return status == MSFL_OK ? MSFL_OK : msfl_fail_in(status, "client %" PRIu32, client);
}

msfl_status msfl_round_coordinator_certify(msfl_round_coordinator *c, msfl_round_certificate *out) {
    *out = (msfl_round_certificate){NULL, NULL, NULL, 0};
    pthread_mutex_lock(&c->lock);
    msfl_status status = expect(c, COLLECTING, "certify");
    if (status != MSFL_OK) goto done;
    if (c->n < c->info.min_cohort) {
        status = msfl_fail(MSFL_ERR_POLICY,
                           "certify: round %" PRIu64 " has %zu updates, at least %" PRIu32
                           " are needed; wait for more, or give up this round",
                           c->info.number, c->n, c->info.min_cohort);
        goto done;
    }
    size_t n = 0;
    for (uint32_t i = 0; i < c->info.n_clients; i++) {
        if (c->uploads[i].bundle == NULL) continue;
        c->clients[n] = i;
        c->bundles[n] = c->uploads[i].bundle;
        memcpy(c->hashes[n], c->uploads[i].ciphertext_hash, MSFL_HASH_BYTES);
        n++;
    }
    c->phase = CERTIFIED;
    *out = (msfl_round_certificate){c->clients, c->bundles, (const uint8_t(*)[MSFL_HASH_BYTES])c->hashes, n};
done:
    pthread_mutex_unlock(&c->lock);
    return status;
}

msfl_status msfl_round_coordinator_release(msfl_round_coordinator *c, const int32_t *key_sum) {
    pthread_mutex_lock(&c->lock);
    msfl_status status = expect(c, CERTIFIED, "release");
    if (status != MSFL_OK) goto done;
    const int64_t bound = (int64_t)MSFL_KEY_MAX * (int64_t)c->n;
    uint64_t beyond = 0; /* top bit */
    for (uint32_t i = 0; i < c->info.params.ring_degree; i++)
        beyond |= (uint64_t)(bound - key_sum[i]) | (uint64_t)(bound + key_sum[i]);
    beyond >>= 63;
    MSFL_DECLASSIFY(&beyond, sizeof beyond); /* the refusal */
    if (beyond != 0) {
        status = msfl_fail(MSFL_ERR_CRYPTO,
                           "release: round %" PRIu64
                           ": the answer is not the sum of %zu keys, a coefficient is beyond %" PRId64,
                           c->info.number, c->n, bound);
        goto done;
    }
    memcpy(c->key_sum, key_sum, c->info.params.ring_degree * sizeof *key_sum);
    c->phase = RELEASED;
done:
    pthread_mutex_unlock(&c->lock);
    return status;
}

msfl_status msfl_round_coordinator_open(msfl_round_coordinator *c, uint64_t j, uint64_t *totals) {
    pthread_mutex_lock(&c->lock);
    msfl_status status = expect(c, RELEASED, "open");
    pthread_mutex_unlock(&c->lock);
    if (status != MSFL_OK) return status;
    if (j >= c->n_chunks) {
        return msfl_fail(MSFL_ERR_USAGE, "open: chunk %" PRIu64 " of %" PRIu64, j, c->n_chunks);
    }
    /* Nothing changes the sum, its number of addends or the key sum after the release. */
    return msfl_packed_open(c->ctx, c->sum, j, (uint32_t)c->n, c->key_sum, totals);
}
