/* Optimiser state as bytes (docs/formats/model.md):
 *   "MSFLOPT1", hash of the model, u32 optimiser, u64 steps, u64 n_values, floats of the momenta, BLAKE2b of all
 * before. */
#include "base/bytes.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/sodium.h"
#include "nn/trainer.h"

#include <string.h>

static const char MAGIC[8] = {'M', 'S', 'F', 'L', 'O', 'P', 'T', '1'};

static void digest(const uint8_t *bytes, size_t length, uint8_t out[MSFL_HASH_BYTES]) {
    msfl_hash h;
    msfl_hash_init(&h, "msfl.optimizer-state.v1");
    msfl_hash_add(&h, bytes, length);
    msfl_hash_final(&h, out);
}

static void put_floats(msfl_buffer *b, const float *values, size_t n) {
    for (size_t i = 0; values != NULL && i < n; i++) {
        uint32_t bits;
        memcpy(&bits, values + i, sizeof bits);
        msfl_put32(b, bits);
    }
}

msfl_status msfl_trainer_state_save(const msfl_trainer *t, uint8_t **bytes, size_t *length) {
    *bytes = NULL;
    *length = 0;
    msfl_buffer b = {0};
    uint8_t hash[MSFL_HASH_BYTES];
    msfl_model_hash(t->net->model, hash);
    msfl_put_bytes(&b, MAGIC, sizeof MAGIC);
    msfl_put_bytes(&b, hash, sizeof hash);
    /* Before the first step there is no state: number of momenta 0. */
    uint32_t n_momenta = t->first == NULL ? 0 : t->second == NULL ? 1 : 2;
    msfl_put32(&b, (uint32_t)t->optimizer);
    msfl_put32(&b, n_momenta);
    msfl_put64(&b, t->n_steps);
    msfl_put64(&b, t->net->arch->n_values);
    put_floats(&b, t->first, t->net->arch->n_values);
    put_floats(&b, t->second, t->net->arch->n_values);
    if (b.status == MSFL_OK) {
        digest(b.bytes, b.length, hash);
        msfl_put_bytes(&b, hash, sizeof hash);
    }
    if (b.status != MSFL_OK) {
        msfl_status status = b.status;
        msfl_buffer_clear(&b);
        return status;
    }
    *bytes = b.bytes;
    *length = b.length;
    return MSFL_OK;
}

static float *get_floats(msfl_reader *r, size_t n, msfl_status *status) {
    float *values = msfl_alloc(n, sizeof *values);
    if (values == NULL) {
        *status = MSFL_ERR_MEMORY;
        return NULL;
    }
    for (size_t i = 0; i < n; i++) {
        uint32_t bits = msfl_get32(r);
        memcpy(values + i, &bits, sizeof bits);
    }
    return values;
}

msfl_status msfl_trainer_state_load(msfl_trainer *t, const uint8_t *bytes, size_t length) {
    uint8_t hash[MSFL_HASH_BYTES];
    if (length == 0) {
        nn_optimizer_drop(t);
        return MSFL_OK;
    }
    if (length < sizeof MAGIC + 2 * MSFL_HASH_BYTES + 24 || memcmp(bytes, MAGIC, sizeof MAGIC) != 0) {
        return msfl_fail(MSFL_ERR_FORMAT, "these %zu bytes are not an optimiser state", length);
    }
    digest(bytes, length - MSFL_HASH_BYTES, hash);
    if (!msfl_equal(hash, bytes + length - MSFL_HASH_BYTES, MSFL_HASH_BYTES)) {
        return msfl_fail(MSFL_ERR_FORMAT, "the optimiser state is damaged or cut off");
    }
    msfl_reader r = msfl_reader_init(bytes + sizeof MAGIC, length - sizeof MAGIC - MSFL_HASH_BYTES);
    msfl_model_hash(t->net->model, hash);
    if (memcmp(msfl_get_bytes(&r, sizeof hash), hash, sizeof hash) != 0) {
        return msfl_fail(MSFL_ERR_MISMATCH, "this optimiser state belongs to another network");
    }
    uint32_t optimizer = msfl_get32(&r), n_momenta = msfl_get32(&r);
    uint64_t n_steps = msfl_get64(&r), n_values = msfl_get64(&r);
    bool fits = optimizer <= MSFL_ADAM && n_values == t->net->arch->n_values &&
                (n_momenta == 0 || n_momenta == (optimizer == MSFL_SGD ? 1u : 2u)) &&
                msfl_reader_left(&r) == n_momenta * n_values * sizeof(float);
    if (!fits) return msfl_fail(MSFL_ERR_FORMAT, "the optimiser state contradicts itself");
    msfl_status status = MSFL_OK;
    float *first = n_momenta > 0 ? get_floats(&r, n_values, &status) : NULL;
    float *second = n_momenta > 1 && status == MSFL_OK ? get_floats(&r, n_values, &status) : NULL;
    const nn_kernels *k = t->net->kernels;
    bool finite = status != MSFL_OK || ((first == NULL || k->all_finite(first, n_values)) &&
                                        (second == NULL || k->all_finite(second, n_values)));
    if (!finite) status = msfl_fail(MSFL_ERR_NUMERIC, "the optimiser state holds values that are not finite");
    if (status != MSFL_OK) {
        msfl_free(first);
        msfl_free(second);
        return status;
    }
    nn_optimizer_drop(t);
    t->optimizer = (msfl_optimizer)optimizer;
    t->n_steps = n_steps;
    t->first = first;
    t->second = second;
    return MSFL_OK;
}

void msfl_bytes_free(uint8_t *bytes) {
    msfl_free(bytes);
}
