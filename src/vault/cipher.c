/* Encrypt, add, verify and decrypt ciphertext files, chunk by chunk. */
#include "base/error.h"
#include "base/mem.h"
#include "base/observe.h"
#include "vault/codec.h"
#include "vault/stream.h"

#include <math.h>
#include <stdlib.h>

/* --- progress --- */

/** What takes a blink is not announced. */
static void begin(const msfl_observer *observer, const char *what, uint64_t n_chunks) {
    enum { WORTH_A_LINE = 16 };
    if (n_chunks < WORTH_A_LINE) return;
    msfl_observe_text(observer, MSFL_EVENT_PHASE, "files", "%s", what);
}

/** After chunk `done` of `total`; ERR_CANCELLED if the observer wants to stop. */
static msfl_status step(const msfl_observer *observer, uint64_t done, uint64_t total) {
    const msfl_event event = {
        .kind = MSFL_EVENT_PROGRESS, .track = "files", .client = 0, .done = done, .total = total, .loss = NAN};
    msfl_observe(observer, &event);
    return msfl_check_cancel(observer);
}

static const msfl_cipher_options *or_defaults(const msfl_cipher_options *options) {
    static const msfl_cipher_options defaults;
    return options != NULL ? options : &defaults;
}

static int output_mode(const msfl_cipher_options *options) {
    return options->replace ? MSFL_OUTPUT_REPLACE : MSFL_OUTPUT_NEW;
}

/* --- encrypt --- */

msfl_status msfl_cipher_encrypt(const msfl_keyfile *key, const msfl_content *content, const float *values,
                                const msfl_cipher_options *options, const char *path, uint64_t *n_clipped) {
    options = or_defaults(options);
    if (n_clipped != NULL) *n_clipped = 0;
    vault_encoder e;
    vault_writer writer = {0};
    msfl_status status = msfl_crypto_init();
    if (status == MSFL_OK) status = vault_encoder_init(key, content, values, options, &e);
    if (status != MSFL_OK) return status;
    const uint64_t n = e.head.info.n_chunks;
    begin(options->observer, "encrypting", n);
    status = vault_writer_open(path, output_mode(options), &e.head, &writer);
    for (uint64_t j = 0; status == MSFL_OK && j < n; j++) {
        status = vault_encoder_next(&e, j);
        if (status == MSFL_OK) status = vault_writer_put(&writer, e.chunk, e.chunk_length);
        if (status == MSFL_OK) status = step(options->observer, j + 1, n);
    }
    if (status == MSFL_OK) status = vault_writer_commit(&writer);
    if (status == MSFL_OK && n_clipped != NULL) *n_clipped = e.stats.n_clipped;
    vault_writer_clear(&writer);
    vault_encoder_clear(&e);
    return status;
}

/* --- add --- */

typedef struct adder {
    msfl_cipher **files;
    size_t n;
    msfl_setup *setup;
    msfl_keys *keys;
    vault_head head; /**< of the sum */
    uint8_t *sum, *chunk;
} adder;

static void adder_clear(adder *a) {
    for (size_t i = 0; a->files != NULL && i < a->n; i++)
        msfl_cipher_free(a->files[i]);
    msfl_free(a->files);
    msfl_keys_free(a->keys);
    msfl_setup_free(a->setup);
    vault_head_clear(&a->head);
    msfl_free(a->sum);
    msfl_free(a->chunk);
}

static int by_id(const void *a, const void *b) {
    return memcmp(a, b, VAULT_FILE_ID_BYTES);
}

msfl_status vault_merge_addends(const vault_head *const *heads, const char *const *names, size_t n, vault_head *sum) {
    const uint32_t most = heads[0]->info.spec.request.n_clients;
    uint64_t total = 0; /* at most 4096 x 10^4 */
    for (size_t i = 0; i < n; i++)
        total += heads[i]->info.n_addends;
    /* A vector that is in twice is named before the numbers are: it is the likelier mistake. */
    vault_file_id *ids = msfl_alloc(total, sizeof *ids);
    if (ids == NULL) return MSFL_NO_MEMORY;
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        memcpy(ids[at], heads[i]->addends, heads[i]->info.n_addends * sizeof *ids);
        at += heads[i]->info.n_addends;
    }
    qsort(ids, total, sizeof *ids, by_id);
    msfl_status status = MSFL_OK;
    for (size_t k = 1; status == MSFL_OK && k < total; k++) {
        if (memcmp(ids[k - 1], ids[k], sizeof ids[k]) != 0) continue;
        const char *which[2] = {names[0], names[0]};
        size_t found = 0;
        for (size_t i = 0; i < n && found < 2; i++)
            for (uint32_t j = 0; j < heads[i]->info.n_addends && found < 2; j++)
                if (memcmp(heads[i]->addends[j], ids[k], sizeof ids[k]) == 0) which[found++] = names[i];
        status = msfl_fail(MSFL_ERR_EXISTS, "one vector would be in the sum twice: it is in %s and in %s", which[0],
                           which[1]);
    }
    if (status == MSFL_OK && total > most) {
        status = msfl_fail(MSFL_ERR_LIMIT, "%llu vectors in one sum, and the key was made for %u (keygen --clients)",
                           (unsigned long long)total, most);
    }
    if (status == MSFL_OK) status = vault_head_addends(sum, (const vault_file_id *)ids, (size_t)total);
    msfl_free(ids);
    return status;
}

static msfl_status open_all(adder *a, const char *const *paths, size_t n) {
    if (n < 1 || n > MSFL_ADD_FILES_MAX) {
        return msfl_fail(MSFL_ERR_USAGE, "%zu files to add; 1 to %d can be added at once, and sums can be added again",
                         n, MSFL_ADD_FILES_MAX);
    }
    a->files = msfl_alloc(n, sizeof(msfl_cipher *));
    if (a->files == NULL) return MSFL_NO_MEMORY;
    a->n = n;
    msfl_status status = MSFL_OK;
    for (size_t i = 0; status == MSFL_OK && i < n; i++) {
        status = msfl_cipher_open(paths[i], &a->files[i]);
        if (status == MSFL_OK) {
            status = vault_head_same(paths[0], &a->files[0]->head, paths[i], &a->files[i]->head);
        }
    }
    return status;
}

static msfl_status prepare_sum(adder *a, const char *const *paths) {
    const vault_head **heads = msfl_alloc(a->n, sizeof(const vault_head *));
    if (heads == NULL) return MSFL_NO_MEMORY;
    for (size_t i = 0; i < a->n; i++)
        heads[i] = &a->files[i]->head;
    msfl_status status = vault_head_copy(&a->head, heads[0]);
    if (status == MSFL_OK) status = vault_merge_addends(heads, paths, a->n, &a->head);
    msfl_free(heads);
    if (status != MSFL_OK) return status;
    msfl_random_bytes(a->head.info.file_id, sizeof a->head.info.file_id);
    status = vault_head_setup(&a->files[0]->head, &a->setup, &a->keys);
    if (status != MSFL_OK) return msfl_fail_in(status, "%s", paths[0]);
    for (size_t i = 0; status == MSFL_OK && i < a->n; i++) {
        if (a->files[i]->head.info.n_chunks != a->head.info.n_chunks) {
            status = msfl_fail(MSFL_ERR_FORMAT, "%s: its header states another number of chunks", paths[i]);
        } else {
            status = vault_cipher_begin(a->files[i], a->setup);
        }
    }
    if (status != MSFL_OK) return status;
    a->sum = msfl_alloc(vault_chunk_bytes_max(a->setup), 1);
    a->chunk = msfl_alloc(vault_chunk_bytes_max(a->setup), 1);
    return a->sum == NULL || a->chunk == NULL ? MSFL_NO_MEMORY : MSFL_OK;
}

/** Chunk j of file i into `bytes`; says as many addends as the file's header. */
static msfl_status next_checked(const adder *a, size_t i, uint64_t j, uint8_t *bytes) {
    msfl_cipher *c = a->files[i];
    uint32_t addends;
    msfl_status status = vault_cipher_next(c, a->setup, bytes);
    if (status != MSFL_OK) return status;
    status = msfl_pair_check(a->keys, c->head.info.label, j, bytes, msfl_setup_chunk_bytes(a->setup, j), &addends);
    if (status == MSFL_OK && addends != c->head.info.n_addends) {
        status = msfl_fail(MSFL_ERR_FORMAT, "chunk %llu is a sum of %u vectors, and the header says %u",
                           (unsigned long long)j, addends, c->head.info.n_addends);
    }
    return status == MSFL_OK ? MSFL_OK : msfl_fail_in(status, "%s", c->name);
}

static msfl_status add_chunk(const adder *a, uint64_t j) {
    msfl_status status = next_checked(a, 0, j, a->sum);
    for (size_t i = 1; status == MSFL_OK && i < a->n; i++) {
        status = next_checked(a, i, j, a->chunk);
        if (status != MSFL_OK) break;
        status = msfl_pair_add(a->keys, a->head.info.label, j, a->sum, a->chunk, msfl_setup_chunk_bytes(a->setup, j));
        if (status != MSFL_OK) status = msfl_fail_in(status, "%s", a->files[i]->name);
    }
    return status;
}

msfl_status msfl_cipher_add(const char *const *paths, size_t n, const msfl_cipher_options *options, const char *path) {
    options = or_defaults(options);
    adder a = {0};
    vault_writer writer = {0};
    msfl_status status = msfl_crypto_init();
    if (status == MSFL_OK) status = open_all(&a, paths, n);
    if (status == MSFL_OK) status = prepare_sum(&a, paths);
    if (status == MSFL_OK) status = vault_writer_open(path, output_mode(options), &a.head, &writer);
    if (status == MSFL_OK) begin(options->observer, "adding", a.head.info.n_chunks);
    const uint64_t n_chunks = a.head.info.n_chunks;
    for (uint64_t j = 0; status == MSFL_OK && j < n_chunks; j++) {
        status = add_chunk(&a, j);
        if (status == MSFL_OK) status = vault_writer_put(&writer, a.sum, msfl_setup_chunk_bytes(a.setup, j));
        if (status == MSFL_OK) status = step(options->observer, j + 1, n_chunks);
    }
    for (size_t i = 0; status == MSFL_OK && i < a.n; i++)
        status = vault_cipher_end(a.files[i]);
    if (status == MSFL_OK) status = vault_writer_commit(&writer);
    vault_writer_clear(&writer);
    adder_clear(&a);
    return status;
}

/* --- verify, decrypt --- */

msfl_status msfl_cipher_verify(msfl_cipher *cipher, const msfl_observer *observer) {
    adder a = {.files = NULL, .n = 0}; /* next_checked is what is wanted of it */
    msfl_cipher *one[1] = {cipher};
    msfl_status status = vault_head_setup(&cipher->head, &a.setup, &a.keys);
    if (status != MSFL_OK) status = msfl_fail_in(status, "%s", cipher->name);
    if (status == MSFL_OK) status = vault_cipher_begin(cipher, a.setup);
    if (status == MSFL_OK) {
        a.chunk = msfl_alloc(vault_chunk_bytes_max(a.setup), 1);
        if (a.chunk == NULL) status = MSFL_NO_MEMORY;
    }
    if (status == MSFL_OK) begin(observer, "checking", cipher->head.info.n_chunks);
    a.files = one;
    for (uint64_t j = 0; status == MSFL_OK && j < cipher->head.info.n_chunks; j++) {
        status = next_checked(&a, 0, j, a.chunk);
        if (status == MSFL_OK) status = step(observer, j + 1, cipher->head.info.n_chunks);
    }
    if (status == MSFL_OK) status = vault_cipher_end(cipher);
    a.files = NULL; /* borrowed */
    adder_clear(&a);
    return status;
}

msfl_status msfl_cipher_decrypt(msfl_cipher *cipher, const msfl_keyfile *key, const msfl_unlock *unlock,
                                const msfl_observer *observer, float *mean, float *sum, msfl_opened *opened) {
    const uint64_t n_values = cipher->head.info.content.n_values, n = cipher->head.info.n_chunks;
    if (mean != NULL) memset(mean, 0, n_values * sizeof *mean);
    if (sum != NULL) memset(sum, 0, n_values * sizeof *sum);
    if (opened != NULL) *opened = (msfl_opened){0};
    if (key->info.half != MSFL_KEY_SECRET) {
        return msfl_fail(MSFL_ERR_MISMATCH, "%s is a public key; decrypting takes the secret one, secret.msk",
                         key->name);
    }
    msfl_setup *setup = NULL;
    msfl_keys *keys = NULL;
    uint8_t *chunk = NULL;
    vault_decoder decoder = {0};
    if (mean == NULL && sum == NULL) return msfl_fail(MSFL_ERR_USAGE, "neither the mean nor the sum is asked for");
    msfl_status status = vault_head_fits_key(cipher->name, &cipher->head, key);
    if (status == MSFL_OK) {
        status = msfl_keyfile_open(key, cipher->head.info.spec.request.n_values, unlock, &setup, &keys);
    }
    if (status == MSFL_OK && msfl_setup_chunks(setup) != n) {
        status = msfl_fail(MSFL_ERR_FORMAT, "%s: the header states %llu chunks where its parameters make %llu",
                           cipher->name, (unsigned long long)n, (unsigned long long)msfl_setup_chunks(setup));
    }
    /* The length of the file is held against the header before memory is asked for by it. */
    if (status == MSFL_OK) status = vault_cipher_begin(cipher, setup);
    if (status == MSFL_OK) status = vault_decoder_init(&cipher->head, setup, mean != NULL ? mean : sum, &decoder);
    if (status == MSFL_OK) {
        chunk = msfl_alloc(vault_chunk_bytes_max(setup), 1);
        if (chunk == NULL) status = MSFL_NO_MEMORY;
    }
    if (status == MSFL_OK) begin(observer, "decrypting", n);
    for (uint64_t j = 0; status == MSFL_OK && j < n; j++) {
        status = vault_cipher_next(cipher, setup, chunk);
        if (status != MSFL_OK) break;
        status = vault_decoder_next(&decoder, setup, keys, j, chunk, msfl_setup_chunk_bytes(setup, j));
        if (status != MSFL_OK) status = msfl_fail_in(status, "%s", cipher->name);
        if (status == MSFL_OK) status = step(observer, j + 1, n);
    }
    if (status == MSFL_OK) status = vault_cipher_end(cipher);
    if (status == MSFL_OK) {
        vault_decoder_finish(&decoder, sum, opened);
    } else { /* what was opened before the failure */
        if (mean != NULL) memset(mean, 0, n_values * sizeof *mean);
        if (sum != NULL) memset(sum, 0, n_values * sizeof *sum);
    }
    vault_decoder_clear(&decoder);
    msfl_free(chunk);
    msfl_keys_free(keys);
    msfl_setup_free(setup);
    return status;
}
