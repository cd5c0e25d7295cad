/* layer: nn */
/* What an HDF5 child that was taken over could send: the input is the answer, through a real pipe. */
#include "base/mem.h"
#include "nn/h5.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void check_texts(const nn_h5_texts *t) {
    size_t total = 0;
    if (t->n > NN_H5_LAYERS_MAX) abort();
    for (uint32_t i = 0; i < t->n; i++)
        total += strlen(t->texts[i]);
    if (total > 4 * (size_t)NN_H5_TEXT_MAX) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    int ends[2];
    /* More than a pipe holds would need a second thread. */
    if (length == 0 || length > 60000 || pipe2(ends, O_CLOEXEC) != 0) return 0;
    if (write(ends[1], bytes, length) != (ssize_t)length) abort();
    close(ends[1]);
    uint64_t before = msfl_alloc_bytes();
    nn_h5_file file = {.child = {.pid = -1, .fd = ends[0], .deadline_ns = UINT64_MAX, .seconds = 1}};
    if (nn_h5_receive(&file) == MSFL_OK) {
        const nn_h5_texts *all[] = {&file.description, &file.config, &file.class_names, &file.normalise};
        for (size_t i = 0; i < 4; i++)
            check_texts(all[i]);
        if (file.n_weights > MSFL_MODEL_TENSORS_MAX) abort();
        for (uint32_t i = 0; i < file.n_weights; i++) {
            const nn_h5_weight *w = &file.weights[i];
            if (w->rank > 4 || w->count > MSFL_MODEL_VALUES_MAX || memchr(w->name, 0, sizeof w->name) == NULL ||
                memchr(w->layer, 0, sizeof w->layer) == NULL) {
                abort();
            }
            if (w->count > 1 << 12) break;
            float values[1 << 12];
            if (nn_h5_values(&file, values) != MSFL_OK) break;
        }
    }
    nn_h5_close(&file);
    if (msfl_alloc_bytes() != before) abort();
    return 0;
}
