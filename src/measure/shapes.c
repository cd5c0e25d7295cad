/* Tensor sizes of published networks, for those who have no file of them at hand. */
#include "base/error.h"
#include "measure/subject.h"

#include <stdio.h>
#include <string.h>

/** A convolution without bias and its batch normalisation: scale and shift; moving statistics are not sent. */
static msfl_status convolution(msfl_bench_subject *s, const char *name, uint64_t kernel, uint64_t in, uint64_t out) {
    msfl_status status = measure_subject_add(s, kernel * kernel * in * out, "%s/kernel", name);
    if (status == MSFL_OK) status = measure_subject_add(s, out, "%s/gamma", name);
    if (status == MSFL_OK) status = measure_subject_add(s, out, "%s/beta", name);
    return status;
}

/** K. He et al., "Deep Residual Learning for Image Recognition" (CVPR 2016), Table 1, 50 layers, 1000 classes:
 *  25,557,032 trained values. */
static msfl_status resnet50(msfl_bench_subject *s) {
    static const uint64_t blocks[4] = {3, 4, 6, 3};
    char name[64];
    msfl_status status = convolution(s, "conv1", 7, 3, 64);
    uint64_t in = 64;
    for (uint64_t stage = 0; stage < 4; stage++) {
        uint64_t width = (uint64_t)64 << stage, out = 4 * width;
        for (uint64_t b = 0; b < blocks[stage] && status == MSFL_OK; b++) {
            const struct {
                const char *name;
                uint64_t kernel, in, out;
            } parts[] = {{"conv1", 1, in, width},
                         {"conv2", 3, width, width},
                         {"conv3", 1, width, out},
                         {"shortcut", 1, in, out}};
            for (size_t i = 0; i < (b == 0 ? 4 : 3) && status == MSFL_OK; i++) {
                snprintf(name, sizeof name, "stage%u.%u.%s", (unsigned)stage + 1, (unsigned)b + 1, parts[i].name);
                status = convolution(s, name, parts[i].kernel, parts[i].in, parts[i].out);
            }
            in = out;
        }
    }
    if (status == MSFL_OK) status = measure_subject_add(s, 2048 * 1000, "dense/kernel");
    if (status == MSFL_OK) status = measure_subject_add(s, 1000, "dense/bias");
    return status;
}

/** J. Devlin et al., "BERT" (NAACL 2019), base: 12 layers of width 768, 30,522 word pieces: 109,482,240 values. */
static msfl_status bert_base(msfl_bench_subject *s) {
    enum { WIDTH = 768, INNER = 3072, WORDS = 30522, PLACES = 512, LAYERS = 12 };
    static const struct {
        const char *name;
        uint64_t kernel, bias; /* a layer norm has gamma and beta in their place */
    } parts[] = {{"query", (uint64_t)WIDTH * WIDTH, WIDTH},
                 {"key", (uint64_t)WIDTH * WIDTH, WIDTH},
                 {"value", (uint64_t)WIDTH * WIDTH, WIDTH},
                 {"attention", (uint64_t)WIDTH * WIDTH, WIDTH},
                 {"norm1", WIDTH, WIDTH},
                 {"inner", (uint64_t)WIDTH * INNER, INNER},
                 {"outer", (uint64_t)WIDTH * INNER, WIDTH},
                 {"norm2", WIDTH, WIDTH}};
    msfl_status status = measure_subject_add(s, (uint64_t)WORDS * WIDTH, "embedding/words");
    if (status == MSFL_OK) status = measure_subject_add(s, (uint64_t)PLACES * WIDTH, "embedding/places");
    if (status == MSFL_OK) status = measure_subject_add(s, (uint64_t)2 * WIDTH, "embedding/segments");
    if (status == MSFL_OK) status = measure_subject_add(s, WIDTH, "embedding/gamma");
    if (status == MSFL_OK) status = measure_subject_add(s, WIDTH, "embedding/beta");
    for (unsigned layer = 1; layer <= LAYERS; layer++) {
        for (size_t i = 0; i < sizeof parts / sizeof parts[0] && status == MSFL_OK; i++) {
            bool is_norm = parts[i].kernel == WIDTH;
            status = measure_subject_add(s, parts[i].kernel, "layer%u.%s/%s", layer, parts[i].name,
                                         is_norm ? "gamma" : "kernel");
            if (status == MSFL_OK)
                status = measure_subject_add(s, parts[i].bias, "layer%u.%s/%s", layer, parts[i].name,
                                             is_norm ? "beta" : "bias");
        }
    }
    if (status == MSFL_OK) status = measure_subject_add(s, (uint64_t)WIDTH * WIDTH, "pooler/kernel");
    if (status == MSFL_OK) status = measure_subject_add(s, WIDTH, "pooler/bias");
    return status;
}

static const struct {
    const char *name;
    msfl_status (*add)(msfl_bench_subject *s);
} shapes[] = {{"resnet50", resnet50}, {"bert-base", bert_base}};

bool measure_shapes_known(const char *name) {
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        if (strcmp(shapes[i].name, name) == 0) return true;
    }
    return false;
}

const char *measure_shapes_names(void) {
    return "resnet50, bert-base";
}

msfl_status measure_shapes_add(msfl_bench_subject *s, const char *name) {
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        if (strcmp(shapes[i].name, name) == 0) return shapes[i].add(s);
    }
    return msfl_fail(MSFL_ERR_USAGE, "no tensor sizes are known for '%s'; there are %s", name, measure_shapes_names());
}
