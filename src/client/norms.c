#include "client/norms.h"

#include "base/bytes.h"
#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

/* "MSCN", version 1, round u32, model hash, u64 number of values, binary32 each; BLAKE2b of all before. */
enum { HEAD_BYTES = 4 + 4 + 4 + MSFL_HASH_BYTES + 8, NAMES_MAX = 100000, PREFIX = 6, DIGITS = 7 };
static const uint8_t magic[4] = {'M', 'S', 'C', 'N'};

bool client_norms_kept(const job_shape *shape) {
    return shape->spec->norms != JOB_NORMS_SHARED;
}

static void hash_of(const uint8_t *bytes, size_t length, uint8_t out[MSFL_HASH_BYTES]) {
    msfl_hash h;
    msfl_hash_init(&h, "msfl.client.norms.v1");
    msfl_hash_add(&h, bytes, length);
    msfl_hash_final(&h, out);
}

static char *path_of(const char *folder, uint32_t round) {
    return msfl_format("%s/norms-%07" PRIu32, folder, round);
}

/* The newest round below `bound` whose values are kept; 0: none. */
static msfl_status newest(const char *folder, uint32_t bound, uint32_t *out) {
    char **names;
    size_t n;
    *out = 0;
    msfl_status status = msfl_folder_list(folder, NAMES_MAX, &names, &n);
    if (status != MSFL_OK) return status;
    for (size_t i = 0; i < n; i++) {
        const char *digits = names[i] + PREFIX;
        uint32_t round = 0;
        if (strncmp(names[i], "norms-", PREFIX) != 0 || strlen(digits) != DIGITS ||
            strspn(digits, "0123456789") != DIGITS)
            continue;
        for (; *digits != 0; digits++)
            round = round * 10 + (uint32_t)(*digits - '0');
        if (round < bound && round > *out) *out = round;
    }
    msfl_names_free(names, n);
    return MSFL_OK;
}

static msfl_status parse(const char *path, const uint8_t *bytes, size_t length, const job_shape *shape, float *norms) {
    uint8_t hash[MSFL_HASH_BYTES];
    const uint64_t n = job_norms_count(shape->model);
    if (length != HEAD_BYTES + n * sizeof(float) + sizeof hash) {
        return msfl_fail(MSFL_ERR_MISMATCH, "%s: not the normalisation layers of this job's network", path);
    }
    hash_of(bytes, length - sizeof hash, hash);
    if (!msfl_equal(hash, bytes + length - sizeof hash, sizeof hash)) {
        return msfl_fail(MSFL_ERR_FORMAT, "%s: damaged", path);
    }
    msfl_reader r = msfl_reader_init(bytes, length - sizeof hash);
    const uint8_t *head = msfl_get_bytes(&r, sizeof magic);
    const uint32_t version = msfl_get32(&r);
    (void)msfl_get32(&r); /* the round: its name has it */
    const uint8_t *of = msfl_get_bytes(&r, MSFL_HASH_BYTES);
    const uint64_t count = msfl_get64(&r);
    msfl_model_hash(shape->model, hash);
    if (head == NULL || of == NULL || memcmp(head, magic, sizeof magic) != 0 || version != 1 || count != n ||
        memcmp(of, hash, sizeof hash) != 0) {
        return msfl_fail(MSFL_ERR_MISMATCH, "%s: not the normalisation layers of this job's network", path);
    }
    for (uint64_t i = 0; i < n; i++) {
        const uint32_t raw = msfl_get32(&r);
        memcpy(&norms[i], &raw, sizeof raw);
        if (!isfinite(norms[i])) return msfl_fail(MSFL_ERR_FORMAT, "%s: a value is not finite", path);
    }
    return MSFL_OK;
}

msfl_status client_norms_load(const char *folder, const job_shape *shape, uint32_t round, float *weights) {
    uint8_t *bytes = NULL;
    size_t length;
    uint32_t last;
    if (!client_norms_kept(shape)) return MSFL_OK;
    msfl_status status = newest(folder, round, &last);
    if (status != MSFL_OK || last == 0) return status;
    const uint64_t n = job_norms_count(shape->model);
    char *path = path_of(folder, last);
    float *norms = msfl_alloc(n, sizeof *norms);
    status = path == NULL || norms == NULL
                 ? MSFL_NO_MEMORY
                 : msfl_file_read(path, HEAD_BYTES + n * sizeof *norms + 2 * MSFL_HASH_BYTES, &bytes, &length);
    if (status == MSFL_OK) status = parse(path, bytes, length, shape, norms);
    if (status == MSFL_OK) job_norms_put(shape->model, norms, weights);
    msfl_free(norms);
    msfl_free(bytes);
    msfl_free(path);
    return status;
}

msfl_status client_norms_save(const char *folder, const job_shape *shape, uint32_t round, const float *weights) {
    uint8_t hash[MSFL_HASH_BYTES];
    msfl_buffer b = {0};
    if (!client_norms_kept(shape)) return MSFL_OK;
    const uint64_t n = job_norms_count(shape->model);
    float *norms = msfl_alloc(n, sizeof *norms);
    char *path = path_of(folder, round);
    msfl_status status = norms == NULL || path == NULL ? MSFL_NO_MEMORY : MSFL_OK;
    if (status != MSFL_OK) goto done;
    job_norms_take(shape->model, weights, norms);
    msfl_model_hash(shape->model, hash);
    msfl_put_bytes(&b, magic, sizeof magic);
    msfl_put32(&b, 1);
    msfl_put32(&b, round);
    msfl_put_bytes(&b, hash, sizeof hash);
    msfl_put64(&b, n);
    for (uint64_t i = 0; i < n; i++) {
        uint32_t raw;
        memcpy(&raw, &norms[i], sizeof raw);
        msfl_put32(&b, raw);
    }
    if (b.status == MSFL_OK) {
        hash_of(b.bytes, b.length, hash);
        msfl_put_bytes(&b, hash, sizeof hash);
    }
    status = b.status;
    if (status == MSFL_OK) status = msfl_file_write_private(path, b.bytes, b.length);
done:
    msfl_buffer_clear(&b);
    msfl_free(norms);
    msfl_free(path);
    return status;
}
