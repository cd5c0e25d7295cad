#include "round/bundle.h"
#include "round/info.h"

#include "base/error.h"
#include "base/mem.h"

#include <inttypes.h>
#include <string.h>

struct msfl_round_client {
    const msfl_packed *ctx;
    msfl_round_info info;
    uint8_t round_id[MSFL_HASH_BYTES];
    uint32_t client;
    uint64_t n_chunks, next; /* chunks in all; the one that comes next */
    msfl_packed_key *key;    /* NULL once finished */
    msfl_hash hash;
};

msfl_status msfl_round_client_new(const msfl_packed *ctx, const msfl_round_info *info, uint32_t client,
                                  msfl_round_client **out) {
    *out = NULL;
    msfl_status status = msfl_round_info_check_with(info, ctx);
    if (status != MSFL_OK) return status;
    if (client >= info->n_clients) {
        return msfl_fail(MSFL_ERR_USAGE, "round %" PRIu64 ": client %" PRIu32 " is not in the roster of %" PRIu32,
                         info->number, client, info->n_clients);
    }
    status = msfl_crypto_init();
    if (status != MSFL_OK) return status;
    msfl_round_client *c = msfl_alloc(1, sizeof *c);
    if (c == NULL) return MSFL_NO_MEMORY;
    c->ctx = ctx;
    c->info = *info;
    c->client = client;
    c->n_chunks = msfl_packed_chunks(ctx, info->n_values);
    msfl_round_id(info, c->round_id);
    status = msfl_packed_key_new(ctx, c->round_id, info->n_values, &c->key);
    if (status != MSFL_OK) {
        msfl_round_client_free(c);
        return msfl_fail_in(status, "client %" PRIu32, client);
    }
    msfl_round_ciphertext_hash_init(&c->hash, c->round_id, client, msfl_round_ciphertext_bytes(ctx, info->n_values));
    *out = c;
    return MSFL_OK;
}

static void drop_key(msfl_round_client *c) {
    msfl_packed_key_free(c->key);
    c->key = NULL;
}

void msfl_round_client_free(msfl_round_client *c) {
    if (c == NULL) return;
    drop_key(c);
    msfl_free(c);
}

static msfl_status finished(const msfl_round_client *c) {
    return msfl_fail(MSFL_ERR_POLICY,
                     "client %" PRIu32 ": its key for round %" PRIu64
                     " was sealed and wiped; another update needs another round",
                     c->client, c->info.number);
}

msfl_status msfl_round_client_encrypt(msfl_round_client *c, uint64_t j, const uint32_t *slots, uint8_t *out) {
    if (c->key == NULL) return finished(c);
    if (j < c->next) {
        return msfl_fail(MSFL_ERR_POLICY,
                         "client %" PRIu32 ": chunk %" PRIu64 " of round %" PRIu64
                         " is encrypted already; a second ciphertext under the same key would reveal the difference",
                         c->client, j, c->info.number);
    }
    if (j > c->next || j >= c->n_chunks) {
        return msfl_fail(MSFL_ERR_USAGE,
                         "client %" PRIu32 ": chunk %" PRIu64 " where %" PRIu64 " of %" PRIu64 " is due", c->client, j,
                         c->next, c->n_chunks);
    }
    msfl_status status = msfl_packed_encrypt(c->ctx, c->key, j, slots, out);
    if (status != MSFL_OK) return msfl_fail_in(status, "client %" PRIu32, c->client);
    msfl_hash_add(&c->hash, out, msfl_packed_chunk_bytes(c->ctx, c->info.n_values, j));
    c->next++;
    return MSFL_OK;
}

msfl_status msfl_round_client_finish(msfl_round_client *c, uint8_t ciphertext_hash[MSFL_HASH_BYTES], uint8_t *bundle) {
    if (c->key == NULL) return finished(c);
    if (c->next < c->n_chunks) {
        return msfl_fail(MSFL_ERR_USAGE, "client %" PRIu32 ": only %" PRIu64 " of %" PRIu64 " chunks are encrypted",
                         c->client, c->next, c->n_chunks);
    }
    msfl_bundle_binding binding = {.client = c->client, .ring_degree = c->info.params.ring_degree};
    memcpy(binding.round_id, c->round_id, MSFL_HASH_BYTES);
    msfl_hash_final(&c->hash, binding.ciphertext_hash);
    msfl_status status = msfl_bundle_seal(&binding, msfl_packed_key_borrow(c->key), c->info.authority, bundle);
    /* Also after a failure: a key that could not be handed over is of no use, and of no use is of no risk. */
    drop_key(c);
    if (status != MSFL_OK) {
        memset(ciphertext_hash, 0, MSFL_HASH_BYTES);
        return msfl_fail_in(status, "client %" PRIu32, c->client);
    }
    memcpy(ciphertext_hash, binding.ciphertext_hash, MSFL_HASH_BYTES);
    return MSFL_OK;
}
