#include "base/seeded.h"

#include "base/bytes.h"
#include "base/sodium.h"

#include <math.h>

void msfl_seeded_init(msfl_seeded *g, uint64_t seed, const char *label, uint64_t a, uint64_t b, uint64_t c) {
    memset(g, 0, sizeof *g);
    msfl_hash h;
    msfl_hash_init(&h, "msfl.seeded.v1");
    msfl_hash_add_field(&h, label, strlen(label));
    msfl_hash_add_u64(&h, seed);
    msfl_hash_add_u64(&h, a);
    msfl_hash_add_u64(&h, b);
    msfl_hash_add_u64(&h, c);
    msfl_hash_final(&h, g->key);
    g->used = sizeof g->stream;
}

uint64_t msfl_seeded_u64(msfl_seeded *g) {
    if (g->used == sizeof g->stream) {
        msfl_chacha20_stream(g->key, 0, g->block, g->stream, sizeof g->stream);
        g->block += sizeof g->stream / 64;
        g->used = 0;
    }
    uint64_t v = msfl_load64(g->stream + g->used);
    g->used += 8;
    return v;
}

uint64_t msfl_seeded_below(msfl_seeded *g, uint64_t bound) {
    /* Values below 2^64 mod bound would favour small results: draw again. */
    uint64_t reject_below = (0 - bound) % bound;
    uint64_t v;
    do {
        v = msfl_seeded_u64(g);
    } while (v < reject_below);
    return v % bound;
}

double msfl_seeded_unit(msfl_seeded *g) {
    return (double)(msfl_seeded_u64(g) >> 11) * 0x1p-53;
}

double msfl_seeded_normal(msfl_seeded *g) {
    if (g->has_spare) {
        g->has_spare = false;
        return g->spare;
    }
    double radius = sqrt(-2.0 * log(1.0 - msfl_seeded_unit(g)));
    double angle = 6.283185307179586 * msfl_seeded_unit(g);
    g->spare = radius * sin(angle);
    g->has_spare = true;
    return radius * cos(angle);
}

double msfl_seeded_gamma(msfl_seeded *g, double shape) {
    if (shape < 1.0) {
        double u = 1.0 - msfl_seeded_unit(g);
        return msfl_seeded_gamma(g, shape + 1.0) * pow(u, 1.0 / shape);
    }
    double d = shape - 1.0 / 3.0;
    double c = 1.0 / sqrt(9.0 * d);
    for (;;) {
        double x = msfl_seeded_normal(g);
        double v = 1.0 + c * x;
        if (v <= 0.0) continue;
        v = v * v * v;
        double u = 1.0 - msfl_seeded_unit(g);
        if (log(u) < 0.5 * x * x + d - d * v + d * log(v)) return d * v;
    }
}

void msfl_seeded_shuffle(msfl_seeded *g, uint32_t *indices, size_t n) {
    for (size_t i = n; i > 1; i--) {
        size_t j = (size_t)msfl_seeded_below(g, i);
        uint32_t other = indices[j];
        indices[j] = indices[i - 1];
        indices[i - 1] = other;
    }
}
