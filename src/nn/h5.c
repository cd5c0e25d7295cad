/* This side of the pipe: nothing here trusts what comes through it. */
#include "nn/h5.h"

#include "base/error.h"
#include "base/mem.h"
#include "nn/h5_child.h"

#include <string.h>

enum {
    CHILD_MEMORY = 256 << 20, /* for the library itself, and small things */
    EXPANSION_MAX = 64,       /* a file may unfold (compressed, or never written) to this many times its length */
    EXPANSION_FREE = 1 << 22  /* values that need no such justification */
};
static const uint64_t FILE_BYTES_MAX = (uint64_t)5 << 28;

/* --- writing --- */

msfl_status nn_h5_write(const nn_h5_node *nodes, size_t n_nodes, uint8_t **bytes, size_t *length) {
    *bytes = NULL;
    *length = 0;
    size_t total = 0;
    for (size_t i = 0; i < n_nodes; i++) {
        if (nodes[i].kind != NN_H5_FLOATS) continue;
        size_t count = sizeof(float);
        for (uint32_t d = 0; d < nodes[i].rank; d++)
            count *= nodes[i].shape[d];
        total += count;
    }
    nn_h5_write_job job = {nodes, n_nodes};
    msfl_child child;
    msfl_status status =
        msfl_child_start(nn_h5_child_write, &job, CHILD_MEMORY + 4 * total, 60 + (uint32_t)(total >> 24), &child);
    uint64_t size = 0;
    if (status == MSFL_OK) status = msfl_child_read(&child, &size, sizeof size);
    if (status == MSFL_OK && size > FILE_BYTES_MAX) {
        status = msfl_fail(MSFL_ERR_LIMIT, "the model file would have %llu bytes", (unsigned long long)size);
    }
    if (status == MSFL_OK) {
        *bytes = msfl_alloc((size_t)size, 1);
        status = *bytes == NULL ? MSFL_ERR_MEMORY : msfl_child_read(&child, *bytes, (size_t)size);
    }
    if (status == MSFL_ERR_FORMAT) {
        status = msfl_fail(MSFL_ERR_SYSTEM, "the HDF5 library could not make the file; is there enough memory?");
    }
    msfl_child_end(&child);
    if (status != MSFL_OK) {
        msfl_free(*bytes);
        *bytes = NULL;
        return status;
    }
    *length = (size_t)size;
    return MSFL_OK;
}

/* --- reading --- */

static msfl_status get32(msfl_child *child, uint32_t max, uint32_t *v) {
    msfl_status status = msfl_child_read(child, v, sizeof *v);
    if (status == MSFL_OK && *v > max) status = msfl_fail(MSFL_ERR_FORMAT, "a figure in the file is out of range");
    return status;
}

/* Of at most `*left` bytes, which become fewer by what came: not by what stands before the first zero in it. */
static msfl_status get_text(msfl_child *child, size_t *left, char **text) {
    uint32_t length;
    msfl_status status = get32(child, (uint32_t)*left, &length);
    if (status != MSFL_OK) return status;
    *left -= length;
    *text = msfl_alloc((size_t)length + 1, 1);
    if (*text == NULL) return MSFL_ERR_MEMORY;
    return msfl_child_read(child, *text, length);
}

static msfl_status get_texts(msfl_child *child, nn_h5_texts *t) {
    uint32_t present, n;
    msfl_status status = get32(child, 1, &present);
    if (status == MSFL_OK) status = get32(child, NN_H5_LAYERS_MAX, &n);
    if (status != MSFL_OK) return status;
    t->present = present == 1;
    t->texts = msfl_alloc(n, sizeof *t->texts);
    if (t->texts == NULL) return MSFL_ERR_MEMORY;
    t->n = n;
    size_t left = 4 * NN_H5_TEXT_MAX;
    for (uint32_t i = 0; i < n && status == MSFL_OK; i++)
        status = get_text(child, &left, &t->texts[i]);
    return status;
}

static msfl_status get_name(msfl_child *child, char name[NN_H5_NAME_MAX]) {
    uint32_t length;
    msfl_status status = get32(child, NN_H5_NAME_MAX - 1, &length);
    return status == MSFL_OK ? msfl_child_read(child, name, length) : status;
}

static msfl_status get_weight(msfl_child *child, nn_h5_weight *w) {
    msfl_status status = get_name(child, w->layer);
    if (status == MSFL_OK) status = get_name(child, w->name);
    if (status == MSFL_OK) status = get32(child, MSFL_TENSOR_RANK_MAX, &w->rank);
    if (status == MSFL_OK) status = msfl_child_read(child, w->shape, sizeof w->shape);
    w->count = 1;
    for (uint32_t d = 0; d < w->rank && status == MSFL_OK; d++) {
        if (w->shape[d] == 0 || w->shape[d] > MSFL_MODEL_VALUES_MAX / w->count) {
            return msfl_fail(MSFL_ERR_LIMIT, "a data set has more than %d values", MSFL_MODEL_VALUES_MAX);
        }
        w->count *= w->shape[d];
    }
    return status;
}

msfl_status nn_h5_receive(nn_h5_file *f) {
    nn_h5_texts *texts[] = {&f->description, &f->config, &f->class_names, &f->normalise, &f->recipe, &f->recipe_name};
    msfl_status status = MSFL_OK;
    for (int i = 0; i < 6 && status == MSFL_OK; i++)
        status = get_texts(&f->child, texts[i]);
    uint32_t n = 0;
    if (status == MSFL_OK) status = get32(&f->child, MSFL_MODEL_TENSORS_MAX, &n);
    if (status != MSFL_OK) return status;
    f->weights = msfl_alloc(n, sizeof *f->weights);
    if (f->weights == NULL) return MSFL_ERR_MEMORY;
    f->n_weights = n;
    for (uint32_t i = 0; i < n && status == MSFL_OK; i++)
        status = get_weight(&f->child, &f->weights[i]);
    return status;
}

/* The child cannot say why it gave up: the library has no answer that could be trusted to be a reason. */
static msfl_status explain(msfl_status status) {
    if (status != MSFL_ERR_FORMAT) return status;
    return msfl_fail(MSFL_ERR_FORMAT, "damaged, or not a Keras model file");
}

msfl_status nn_h5_open(const uint8_t *bytes, size_t length, nn_h5_file *out) {
    static const uint8_t signature[8] = {0x89, 'H', 'D', 'F', '\r', '\n', 0x1a, '\n'};
    *out = (nn_h5_file){.child = {.pid = -1, .fd = -1}};
    /* The format allows a prefix before the signature; Keras never writes one. */
    if (length < sizeof signature || memcmp(bytes, signature, sizeof signature) != 0) {
        return msfl_fail(MSFL_ERR_FORMAT, "not an HDF5 file");
    }
    if (length > FILE_BYTES_MAX) {
        return msfl_fail(MSFL_ERR_LIMIT, "%zu bytes; a model file has at most %llu", length,
                         (unsigned long long)FILE_BYTES_MAX);
    }
    uint64_t values = (uint64_t)length / sizeof(float) * EXPANSION_MAX;
    if (values < EXPANSION_FREE) values = EXPANSION_FREE;
    if (values > MSFL_MODEL_VALUES_MAX) values = MSFL_MODEL_VALUES_MAX;
    nn_h5_read_job job = {bytes, length, values};
    size_t memory = CHILD_MEMORY + 3 * length + 2 * (size_t)values * sizeof(float);
    msfl_status status = msfl_child_start(nn_h5_child_read, &job, memory, 20 + (uint32_t)(length >> 24), &out->child);
    if (status == MSFL_OK) status = explain(nn_h5_receive(out));
    if (status != MSFL_OK) nn_h5_close(out);
    return status;
}

msfl_status nn_h5_values(nn_h5_file *f, float *values) {
    return explain(msfl_child_read(&f->child, values, f->weights[f->next++].count * sizeof *values));
}

static void clear_texts(nn_h5_texts *t) {
    for (uint32_t i = 0; t->texts != NULL && i < t->n; i++)
        msfl_free(t->texts[i]);
    msfl_free(t->texts);
}

void nn_h5_close(nn_h5_file *f) {
    msfl_child_end(&f->child);
    clear_texts(&f->description);
    clear_texts(&f->config);
    clear_texts(&f->class_names);
    clear_texts(&f->normalise);
    clear_texts(&f->recipe);
    clear_texts(&f->recipe_name);
    msfl_free(f->weights);
    *f = (nn_h5_file){.child = {.pid = -1, .fd = -1}};
}
