/* What a rule carries, on disk: a header, the values little-endian, a hash over all of it. docs/formats/checkpoint.md
 */
#include "base/bytes.h"
#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/output.h"
#include "base/sodium.h"
#include "job/aggregate.h"

#include <string.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "values are written as they lie in memory"
#endif

static const char magic[8] = "MSFLMOM1";
enum { HEAD_BYTES = sizeof magic + 24 + 4 + 8 + MSFL_HASH_BYTES, NAME_BYTES = 24 };

/* What a file of these moments begins with, and the hash of all before the end of it. */
static void head_of(uint8_t head[HEAD_BYTES], const job_aggregate *rule, uint32_t n_carried, const uint8_t *weights,
                    uint64_t n_values) {
    memset(head, 0, HEAD_BYTES);
    memcpy(head, magic, sizeof magic);
    memcpy(head + sizeof magic, rule->name, strnlen(rule->name, NAME_BYTES - 1));
    msfl_store32(head + sizeof magic + NAME_BYTES, n_carried);
    msfl_store64(head + sizeof magic + NAME_BYTES + 4, n_values);
    memcpy(head + sizeof magic + NAME_BYTES + 12, weights, MSFL_HASH_BYTES);
}

static void hash_of(uint8_t out[MSFL_HASH_BYTES], const uint8_t head[HEAD_BYTES], const float *moments, size_t bytes) {
    msfl_hash h;
    msfl_hash_init(&h, "msfl.moments.v1");
    msfl_hash_add(&h, head, HEAD_BYTES);
    msfl_hash_add(&h, moments, bytes);
    msfl_hash_final(&h, out);
}

msfl_status job_moments_save(const char *path, const job_aggregate *rule, uint32_t n_carried, const uint8_t *weights,
                             const float *moments, uint64_t n_values) {
    uint8_t head[HEAD_BYTES], hash[MSFL_HASH_BYTES];
    const size_t bytes = (size_t)n_carried * n_values * sizeof *moments;
    msfl_output *output = NULL;
    head_of(head, rule, n_carried, weights, n_values);
    hash_of(hash, head, moments, bytes);
    msfl_status status = msfl_output_open(path, MSFL_OUTPUT_REPLACE | MSFL_OUTPUT_PRIVATE, &output);
    if (status == MSFL_OK) status = msfl_output_write(output, head, sizeof head);
    if (status == MSFL_OK) status = msfl_output_write(output, moments, bytes);
    if (status == MSFL_OK) status = msfl_output_write(output, hash, sizeof hash);
    if (status == MSFL_OK) status = msfl_output_commit(output);
    msfl_output_free(output);
    return status;
}

msfl_status job_moments_load(float **out, const char *path, const job_aggregate *rule, uint32_t n_carried,
                             const uint8_t *weights, uint64_t n_values) {
    uint8_t head[HEAD_BYTES], hash[MSFL_HASH_BYTES], *text = NULL;
    const size_t bytes = (size_t)n_carried * n_values * sizeof **out;
    size_t length = 0;
    *out = NULL;
    float *moments = msfl_alloc((size_t)n_carried * n_values, sizeof *moments);
    if (moments == NULL) return MSFL_NO_MEMORY;
    msfl_status status = MSFL_OK;
    if (path == NULL) goto done;
    status = msfl_file_read(path, HEAD_BYTES + bytes + MSFL_HASH_BYTES, &text, &length);
    if (status != MSFL_OK) goto done;
    head_of(head, rule, n_carried, weights, n_values);
    if (length != HEAD_BYTES + bytes + MSFL_HASH_BYTES || memcmp(text, magic, sizeof magic) != 0) {
        status = msfl_fail(MSFL_ERR_FORMAT, "%s holds no moments of this job's weights", path);
        goto done;
    }
    memcpy(moments, text + HEAD_BYTES, bytes);
    hash_of(hash, text, moments, bytes);
    if (memcmp(hash, text + HEAD_BYTES + bytes, sizeof hash) != 0) {
        status = msfl_fail(MSFL_ERR_FORMAT, "%s is damaged", path);
    } else if (memcmp(head, text, sizeof head) != 0) {
        status = msfl_fail(MSFL_ERR_MISMATCH, "%s belongs to other weights, or to another rule", path);
    }
done:
    msfl_free(text);
    if (status == MSFL_OK) {
        *out = moments;
    } else {
        msfl_free(moments);
    }
    return status;
}
