#include "client/weights.h"

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

enum { NAMES_MAX = 100000 };

msfl_status client_weights_read(const char *path, const job_shape *shape, float **weights) {
    uint8_t *bytes;
    size_t length;
    *weights = NULL;
    msfl_status status = msfl_file_read(path, (size_t)MSFL_MODEL_VALUES_MAX * sizeof(float), &bytes, &length);
    if (status != MSFL_OK) return status;
    if (length != shape->n_values * sizeof(float)) {
        msfl_free(bytes);
        return msfl_fail(MSFL_ERR_MISMATCH, "%s has %zu bytes, the job's network %llu values of 4", path, length,
                         (unsigned long long)shape->n_values);
    }
    float *values = msfl_alloc(shape->n_values, sizeof *values);
    if (values == NULL) {
        msfl_free(bytes);
        return MSFL_NO_MEMORY;
    }
    for (uint64_t i = 0; status == MSFL_OK && i < shape->n_values; i++) {
        const uint32_t raw = msfl_load32(bytes + 4 * i);
        memcpy(&values[i], &raw, sizeof raw);
        if (!isfinite(values[i])) status = msfl_fail(MSFL_ERR_NUMERIC, "%s: a weight is not finite", path);
    }
    msfl_free(bytes);
    if (status != MSFL_OK) {
        msfl_free(values);
        return status;
    }
    *weights = values;
    return MSFL_OK;
}

/* One model at a time is trained from. */
static void forget_others(const char *folder, const char *keep) {
    char **names;
    size_t n;
    if (msfl_folder_list(folder, NAMES_MAX, &names, &n) != MSFL_OK) return;
    for (size_t i = 0; i < n; i++) {
        if (strncmp(names[i], "model-", 6) != 0 || strcmp(names[i], keep) == 0) continue;
        char *path = msfl_path_join(folder, names[i]);
        if (path != NULL) (void)unlink(path);
        msfl_free(path);
    }
    msfl_names_free(names, n);
}

/* What lies at `path`, if it is the model of this hash. */
static msfl_status read_checked(const char *path, const uint8_t hash[MSFL_HASH_BYTES], const job_shape *shape,
                                float **weights) {
    uint8_t found[MSFL_HASH_BYTES];
    msfl_status status = client_weights_read(path, shape, weights);
    if (status != MSFL_OK) return status;
    job_weights_hash(shape, *weights, found);
    if (memcmp(found, hash, sizeof found) == 0) return MSFL_OK;
    msfl_free(*weights);
    *weights = NULL;
    return msfl_fail(MSFL_ERR_MISMATCH, "the weights that came are not those that were announced");
}

msfl_status client_weights_fetch(client_link *link, const char *job, uint32_t index,
                                 const uint8_t hash[MSFL_HASH_BYTES], const char *folder, const job_shape *shape,
                                 const net_progress *progress, float **weights) {
    char name[6 + 2 * MSFL_HASH_BYTES + 1] = "model-";
    *weights = NULL;
    msfl_hex(hash, MSFL_HASH_BYTES, name + 6);
    char *path = msfl_path_join(folder, name);
    if (path == NULL) return MSFL_NO_MEMORY;
    msfl_status status = MSFL_ERR_MISSING;
    if (msfl_file_exists(path)) status = read_checked(path, hash, shape, weights);
    if (status != MSFL_OK && status != MSFL_ERR_MEMORY) {
        status = client_link_model(link, job, index, hash, path, shape->n_values, progress);
        if (status == MSFL_OK) status = read_checked(path, hash, shape, weights);
        if (status != MSFL_OK) (void)unlink(path);
    }
    if (status == MSFL_OK) forget_others(folder, name);
    msfl_free(path);
    return status;
}
