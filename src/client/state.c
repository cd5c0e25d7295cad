#include "client/state.h"

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/sodium.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* "MSCT", version 1, round u32, n_epochs u64, model hash, u64 length, bytes; BLAKE2b of all before. */
enum { HEAD_BYTES = 4 + 4 + 4 + 8 + MSFL_HASH_BYTES + 8, NAMES_MAX = 100000 };
static const uint8_t magic[4] = {'M', 'S', 'C', 'T'};
#define STATE_BYTES_MAX ((uint64_t)MSFL_MODEL_VALUES_MAX * 16 + 4096)

void client_state_clear(client_state *s) {
    msfl_bytes_free(s->bytes);
    memset(s, 0, sizeof *s);
}

static void hash_of(const uint8_t *bytes, size_t length, uint8_t out[MSFL_HASH_BYTES]) {
    msfl_hash h;
    msfl_hash_init(&h, "msfl.client.state.v1");
    msfl_hash_add(&h, bytes, length);
    msfl_hash_final(&h, out);
}

/* A job of tensors has no model and no state of ours; zero then. */
static void model_of(const job_shape *shape, uint8_t out[MSFL_HASH_BYTES]) {
    memset(out, 0, MSFL_HASH_BYTES);
    if (shape->model != NULL) msfl_model_hash(shape->model, out);
}

static msfl_status parse(const char *path, const uint8_t *bytes, size_t length, const job_shape *shape,
                         client_state *out) {
    uint8_t hash[MSFL_HASH_BYTES], model[MSFL_HASH_BYTES];
    if (length < HEAD_BYTES + sizeof hash) return msfl_fail(MSFL_ERR_FORMAT, "%s: cut off", path);
    hash_of(bytes, length - sizeof hash, hash);
    if (!msfl_equal(hash, bytes + length - sizeof hash, sizeof hash)) {
        return msfl_fail(MSFL_ERR_FORMAT, "%s: damaged; without it this hospital trains on from a fresh optimiser",
                         path);
    }
    msfl_reader r = msfl_reader_init(bytes, length - sizeof hash);
    const uint8_t *head = msfl_get_bytes(&r, 4);
    const uint32_t version = msfl_get32(&r);
    out->round = msfl_get32(&r);
    out->n_epochs = msfl_get64(&r);
    const uint8_t *of = msfl_get_bytes(&r, sizeof model);
    const uint64_t n = msfl_get64(&r);
    if (head == NULL || of == NULL || memcmp(head, magic, 4) != 0 || version != 1 || n != msfl_reader_left(&r)) {
        return msfl_fail(MSFL_ERR_FORMAT, "%s: not a state of a training", path);
    }
    model_of(shape, model);
    if (memcmp(of, model, sizeof model) != 0) {
        return msfl_fail(MSFL_ERR_MISMATCH, "%s: of another network", path);
    }
    if (n == 0) return MSFL_OK;
    out->bytes = msfl_alloc(n, 1);
    if (out->bytes == NULL) return MSFL_NO_MEMORY;
    memcpy(out->bytes, r.at, n);
    out->length = n;
    return MSFL_OK;
}

/* "state-0000012" -> 12; 0 for any other name. */
static uint32_t round_of(const char *name) {
    uint32_t round = 0;
    if (strncmp(name, "state-", 6) != 0 || strlen(name) != 13) return 0;
    for (const char *at = name + 6; *at != 0; at++) {
        if (*at < '0' || *at > '9') return 0;
        round = round * 10 + (uint32_t)(*at - '0');
    }
    return round;
}

static char *path_of(const char *folder, uint32_t round) {
    return msfl_format("%s/state-%07" PRIu32, folder, round);
}

/* The newest round of a kept state below `bound`; 0: none. With `drop`, all that are older go. */
static msfl_status newest(const char *folder, uint32_t bound, bool drop, uint32_t *out) {
    char **names;
    size_t n;
    *out = 0;
    msfl_status status = msfl_folder_list(folder, NAMES_MAX, &names, &n);
    if (status != MSFL_OK) return status;
    for (size_t i = 0; i < n; i++) {
        const uint32_t round = round_of(names[i]);
        if (round < bound && round > *out) *out = round;
    }
    for (size_t i = 0; drop && i < n; i++) {
        const uint32_t round = round_of(names[i]);
        if (round == 0 || round >= *out) continue;
        char *path = msfl_path_join(folder, names[i]);
        if (path != NULL) (void)unlink(path);
        msfl_free(path);
    }
    msfl_names_free(names, n);
    return MSFL_OK;
}

msfl_status client_state_load(const char *folder, const job_shape *shape, uint32_t round, client_state *out) {
    uint8_t *bytes = NULL;
    size_t length;
    uint32_t last;
    *out = (client_state){0};
    msfl_status status = newest(folder, round, false, &last);
    if (status != MSFL_OK || last == 0) return status;
    char *path = path_of(folder, last);
    if (path == NULL) return MSFL_NO_MEMORY;
    status = msfl_file_read(path, STATE_BYTES_MAX, &bytes, &length);
    if (status == MSFL_OK) status = parse(path, bytes, length, shape, out);
    if (status != MSFL_OK) client_state_clear(out);
    msfl_free(bytes);
    msfl_free(path);
    return status;
}

msfl_status client_state_save(const char *folder, const job_shape *shape, const client_state *s) {
    uint8_t model[MSFL_HASH_BYTES], hash[MSFL_HASH_BYTES];
    msfl_buffer b = {0};
    model_of(shape, model);
    msfl_put_bytes(&b, magic, sizeof magic);
    msfl_put32(&b, 1);
    msfl_put32(&b, s->round);
    msfl_put64(&b, s->n_epochs);
    msfl_put_bytes(&b, model, sizeof model);
    msfl_put64(&b, s->length);
    msfl_put_bytes(&b, s->bytes, s->length);
    if (b.status == MSFL_OK) {
        hash_of(b.bytes, b.length, hash);
        msfl_put_bytes(&b, hash, sizeof hash);
    }
    char *path = path_of(folder, s->round);
    msfl_status status = path == NULL ? MSFL_NO_MEMORY : b.status;
    if (status == MSFL_OK) status = msfl_file_write_private(path, b.bytes, b.length);
    uint32_t before;
    if (status == MSFL_OK) status = newest(folder, s->round, true, &before);
    msfl_free(path);
    msfl_buffer_clear(&b);
    return status;
}
