/* Samples to normalised floats. */
#ifndef MSFL_DATASET_PIXELS_H
#define MSFL_DATASET_PIXELS_H

#include "medsecurefl/dataset.h"

/** In units of full scale. A flat picture becomes all zeros instead of infinities. */
#define MSFL_DEVIATION_MIN 1e-4

/** Samples of 8 or 16 bits to 0..1, then by `how`; `mean` and `deviation` are those of MSFL_NORMALISE_SET. Statistics
 * are taken over all channels together, so that colours keep their relation. */
void msfl_pixels_normalise(const void *samples, uint32_t bits, size_t n, msfl_normalise how, double mean,
                           double deviation, float *out);

/** As msfl_pixels_normalise, for values from 0 to 1 in place. */
void msfl_pixels_normalise_floats(float *values, size_t n, msfl_normalise how, double mean, double deviation);

/** The range [low, high] of samples to 0..255. */
void msfl_pixels_preview(const void *samples, uint32_t bits, size_t n, double low, double high, uint8_t *out);

/** Turn, move, zoom and mirror a picture about its middle by what `seed` draws, then change its intensity; values from
 * 0 to 1 (noise may lead beyond). Beyond the edge the edge pixel repeats. `slice` of a
 * volume: the same change for all of them, but noise of its own; 0 for pictures. ERR_MEMORY. */
msfl_status msfl_pixels_augment(const void *samples, uint32_t bits, uint32_t height, uint32_t width, uint32_t channels,
                                const msfl_augment *augment, uint64_t seed, uint32_t slice,
                                float *pixels) MSFL_NODISCARD;

/** The same movement of a mask, by the nearest pixel. */
void msfl_mask_augment(const uint8_t *mask, uint32_t height, uint32_t width, const msfl_augment *augment, uint64_t seed,
                       uint32_t *out);

#endif
