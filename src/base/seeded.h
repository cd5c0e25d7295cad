/* Seeded randomness for what must be repeatable: initial weights, shuffles, augmentation, partitions, stochastic
 * rounding. Never for keys or encryption noise: those come from the operating system. */
#ifndef MSFL_BASE_SEEDED_H
#define MSFL_BASE_SEEDED_H

#include "medsecurefl/status.h"

typedef struct msfl_seeded {
    uint8_t key[32];
    uint64_t block;
    uint32_t used;
    bool has_spare;
    double spare;
    uint8_t stream[512];
} msfl_seeded;

/**
 * Stream number (`a`, `b`, `c`) of purpose `label` under `seed`: different arguments give independent streams, so no
 * state has to be carried from one use to the next and a resumed run draws what the first would have drawn.
 */
void msfl_seeded_init(msfl_seeded *g, uint64_t seed, const char *label, uint64_t a, uint64_t b, uint64_t c);

uint64_t msfl_seeded_u64(msfl_seeded *g);
/** Uniform in [0, bound), bound >= 1, without bias. */
uint64_t msfl_seeded_below(msfl_seeded *g, uint64_t bound);
/** Uniform in [0, 1) with 53 bits. */
double msfl_seeded_unit(msfl_seeded *g);
/** Standard normal (Box-Muller). */
double msfl_seeded_normal(msfl_seeded *g);
/** Gamma with shape > 0 and scale 1 (Marsaglia and Tsang, 2000). */
double msfl_seeded_gamma(msfl_seeded *g, double shape);
/** Fisher-Yates over `n` indices. */
void msfl_seeded_shuffle(msfl_seeded *g, uint32_t *indices, size_t n);

#endif
