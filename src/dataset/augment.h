/* One drawn change of an image, and what is done to its intensities. */
#ifndef MSFL_DATASET_AUGMENT_H
#define MSFL_DATASET_AUGMENT_H

#include "base/seeded.h"
#include "medsecurefl/dataset.h"

enum { MSFL_ELASTIC_POINTS = 5 }; /* a side of the grid whose points are displaced */

typedef struct msfl_change {
    float cosine, sine; /* of the turn, divided by the zoom */
    float shift_x, shift_y;
    float gain, offset;
    bool mirror;
    bool more; /* something of the following is used */
    bool flip, bends;
    float shear; /* tangent */
    float gamma; /* exponent */
    float noise; /* standard deviation, of the range */
    float blur;  /* standard deviation, pixels */
    uint64_t noise_key;
    uint32_t cut_x, cut_y, cut_width, cut_height;
    float bend_x[MSFL_ELASTIC_POINTS * MSFL_ELASTIC_POINTS], bend_y[MSFL_ELASTIC_POINTS * MSFL_ELASTIC_POINTS];
} msfl_change;

/** What `seed` draws; the options must have passed msfl_augment_check. */
void msfl_change_draw(const msfl_augment *augment, uint32_t height, uint32_t width, uint64_t seed, msfl_change *out);

/** Gamma, blur, noise, cutout, in this order, on values from 0 to 1. ERR_MEMORY. */
msfl_status msfl_change_finish(const msfl_change *change, uint32_t height, uint32_t width, uint32_t channels,
                               float *pixels) MSFL_NODISCARD;

/** ERR_USAGE with the value that is out of its range (or is no number). */
msfl_status msfl_augment_check(const msfl_augment *augment) MSFL_NODISCARD;
bool msfl_augment_changes(const msfl_augment *augment);

#endif
