/* Masks that a network finds: piece by piece as all at once, and counted as a slow twin counts. */
#include "base/mem.h"
#include "base/seeded.h"
#include "job/figures.h"
#include "job/pixels.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SIDE = 16, PIXELS = SIDE * SIDE, CLASSES = 3, IMAGES = 70 }; /* more than two parts of 32 */

static uint32_t truth(uint32_t image, uint32_t pixel) {
    return (image + pixel / 5) % CLASSES;
}

static msfl_status load(void *ctx, uint32_t i, uint64_t augment_seed, float *pixels, uint32_t *label) {
    (void)ctx;
    msfl_seeded g;
    assert_int_equal(augment_seed, 0);
    msfl_seeded_init(&g, 7, "pixels", i, 0, 0);
    for (uint32_t k = 0; k < PIXELS; k++) {
        label[k] = truth(i, k);
        pixels[k] = (float)label[k] + (float)(msfl_seeded_u64(&g) % 1000) / 1000.0f;
    }
    return MSFL_OK;
}

typedef struct heard {
    uint8_t found[IMAGES * PIXELS];
    uint32_t n, n_parts, fail_at;
} heard;

static msfl_status take(void *ctx, uint32_t first, uint32_t n, const uint8_t *found) {
    heard *h = ctx;
    assert_int_equal(first, h->n);
    assert_true(n >= 1 && first + n <= IMAGES);
    if (++h->n_parts == h->fail_at) return MSFL_ERR_CANCELLED;
    memcpy(h->found + (size_t)first * PIXELS, found, (size_t)n * PIXELS);
    h->n += n;
    return MSFL_OK;
}

static heard h;

static void in_parts_as_at_once(void **state) {
    (void)state;
    msfl_model *model;
    msfl_trainer *trainer;
    double loss, whole;
    const msfl_samples samples = {.n = IMAGES, .load = load}, none = {.load = load};
    assert_int_equal(msfl_model_new("unet2d", SIDE, SIDE, 1, CLASSES, &model), MSFL_OK);
    assert_int_equal(msfl_trainer_new(model, 8, 1, NULL, &trainer), MSFL_OK);
    float *weights = msfl_alloc(msfl_model_info_borrow(model)->n_values, sizeof *weights);
    float *p = msfl_alloc((size_t)IMAGES * PIXELS * CLASSES, sizeof *p);
    assert_true(weights != NULL && p != NULL);
    msfl_model_init(model, 3, weights);
    memset(&h, 0, sizeof h);
    assert_int_equal(job_pixels_predict(trainer, model, weights, &samples, take, &h, &loss), MSFL_OK);
    assert_true(h.n == IMAGES && h.n_parts == 3);
    assert_int_equal(msfl_predict(trainer, weights, &samples, p, NULL, &whole), MSFL_OK);
    assert_true(fabs(loss - whole) < 1e-12 * whole);
    uint64_t counts[CLASSES][3] = {{0}}, right = 0, counters[JOB_EVAL_COUNTERS] = {0};
    uint8_t masks[PIXELS];
    for (uint32_t i = 0; i < IMAGES; i++) {
        for (uint32_t k = 0; k < PIXELS; k++) {
            const float *q = p + ((size_t)i * PIXELS + k) * CLASSES;
            const uint32_t t = truth(i, k), best = q[0] >= q[1] && q[0] >= q[2] ? 0 : q[1] >= q[2] ? 1 : 2;
            assert_int_equal(h.found[i * PIXELS + k], best);
            counts[best][0] += best == t;
            counts[t][1]++;
            counts[best][2]++;
            right += best == t;
            masks[k] = (uint8_t)t;
        }
        job_mask_add(h.found + (size_t)i * PIXELS, masks, PIXELS, counters);
    }
    job_mask_close(IMAGES, PIXELS, loss, counters);
    for (uint32_t c = 1; c < CLASSES; c++)
        assert_memory_equal(counters + JOB_EVAL_BINS + (size_t)3 * (c - 1), counts[c], sizeof counts[c]);
    assert_int_equal(counters[JOB_EVAL_CORRECT], (uint64_t)llround((double)right / PIXELS));
    assert_int_equal(counters[JOB_EVAL_N], IMAGES);

    /* Nothing to look at; somebody who wants no more; no memory. */
    memset(&h, 0, sizeof h);
    assert_int_equal(job_pixels_predict(trainer, model, weights, &none, take, &h, &loss), MSFL_OK);
    assert_true(h.n_parts == 0 && isnan(loss));
    h.fail_at = 2;
    assert_int_equal(job_pixels_predict(trainer, model, weights, &samples, take, &h, &loss), MSFL_ERR_CANCELLED);
    assert_true(h.n_parts == 2 && isnan(loss));
    const msfl_samples few = {.n = 3, .load = load};
    msfl_status status = MSFL_ERR_MEMORY;
    for (long k = 1; status != MSFL_OK; k++) {
        memset(&h, 0, sizeof h);
        msfl_alloc_fail_at(k);
        status = job_pixels_predict(trainer, model, weights, &few, take, &h, &loss);
        msfl_alloc_fail_at(0);
        assert_true(status == MSFL_OK || status == MSFL_ERR_MEMORY);
        assert_true(status != MSFL_OK || k > 2);
    }
    msfl_free(p);
    msfl_free(weights);
    msfl_trainer_free(trainer);
    msfl_model_free(model);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(in_parts_as_at_once)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
