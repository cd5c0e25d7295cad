/* Shared by the tests of nn: pictures whose class can be seen, and models from text. */
#ifndef TEST_NN_COMMON_H
#define TEST_NN_COMMON_H

#include "base/mem.h"
#include "base/seeded.h"
#include "medsecurefl/train.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Noise, with a bright patch whose place tells the class. */
typedef struct pictures {
    uint32_t height, width, channels, n_classes;
    uint64_t seed;
} pictures;

static inline msfl_status pictures_load(void *ctx, uint32_t i, uint64_t augment_seed, float *pixels, uint32_t *label) {
    const pictures *p = ctx;
    msfl_seeded g;
    msfl_seeded_init(&g, p->seed, "test.picture", i, augment_seed, 0);
    *label = i % p->n_classes;
    size_t row = (size_t)p->width * p->channels;
    for (size_t k = 0; k < row * p->height; k++)
        pixels[k] = (float)msfl_seeded_normal(&g) * 0.5f;
    for (uint32_t y = 0; y < p->height / 2; y++) {
        for (uint32_t x = 0; x < p->width / 2; x++) {
            uint32_t at_y = y + (*label & 1 ? p->height / 2 : 0), at_x = x + (*label & 2 ? p->width / 2 : 0);
            for (uint32_t c = 0; c < p->channels; c++)
                pixels[at_y * row + at_x * p->channels + c] += 0.5f;
        }
    }
    return MSFL_OK;
}

static inline msfl_samples pictures_samples(pictures *p, uint32_t n) {
    return (msfl_samples){.n = n, .ctx = p, .load = pictures_load};
}

/* Shows the library's message when a call fails. */
#define assert_ok(call)                                                                                                \
    do {                                                                                                               \
        msfl_status assert_ok_status = (call);                                                                         \
        if (assert_ok_status != MSFL_OK) print_error("%s: %s\n", #call, msfl_error_message());                         \
        assert_int_equal(assert_ok_status, MSFL_OK);                                                                   \
    } while (0)

static inline msfl_model *model_of(const char *yaml) {
    msfl_model *model = NULL;
    assert_ok(msfl_model_parse("test", yaml, strlen(yaml), 0, 0, 0, 0, &model));
    return model;
}

#endif
