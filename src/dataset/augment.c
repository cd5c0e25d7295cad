/* Small random changes of pose and exposure, the kind that two visits of one patient differ by. */
#include "base/seeded.h"
#include "dataset/pixels.h"

#include <math.h>

typedef struct change {
    float cosine, sine; /* of the turn, divided by the zoom */
    float shift_x, shift_y;
    float gain, offset;
    bool mirror;
} change;

static double plus_minus(msfl_seeded *g, double range) {
    return range * (2 * msfl_seeded_unit(g) - 1);
}

/* Every value is drawn whether it is used or not, so that switching one kind of change on leaves the others alone. */
static change draw(const msfl_augment *a, uint32_t height, uint32_t width, uint64_t seed) {
    msfl_seeded g;
    msfl_seeded_init(&g, seed, "augment", 0, 0, 0);
    double angle = plus_minus(&g, a->rotate_degrees) * 3.14159265358979323846 / 180;
    double shift_x = plus_minus(&g, a->shift) * width;
    double shift_y = plus_minus(&g, a->shift) * height;
    double zoom = 1 + plus_minus(&g, a->zoom);
    double gain = 1 + plus_minus(&g, a->gain);
    double offset = plus_minus(&g, a->offset);
    double coin = msfl_seeded_unit(&g);
    if (!(zoom > 0.1)) zoom = 0.1;
    return (change){
        .cosine = (float)(cos(angle) / zoom),
        .sine = (float)(sin(angle) / zoom),
        .shift_x = (float)shift_x,
        .shift_y = (float)shift_y,
        .gain = (float)gain,
        .offset = (float)offset,
        .mirror = a->flip_horizontal && coin < 0.5,
    };
}

static inline float clamp(float v, float low, float high) {
    return v < low ? low : v > high ? high : v;
}

/* One sample between its four neighbours. */
#define INTERPOLATE(type, k)                                                                                           \
    do {                                                                                                               \
        const type *p = (const type *)samples + top + (k);                                                             \
        const type *q = (const type *)samples + bottom + (k);                                                          \
        float upper = (float)p[left] + fx * ((float)p[right] - (float)p[left]);                                        \
        float lower = (float)q[left] + fx * ((float)q[right] - (float)q[left]);                                        \
        out[k] = clamp((upper + fy * (lower - upper)) * scale + c.offset, 0, 1);                                       \
    } while (0)

void msfl_pixels_augment(const void *samples, uint32_t bits, uint32_t height, uint32_t width, uint32_t channels,
                         const msfl_augment *augment, uint64_t seed, float *out) {
    change c = draw(augment, height, width, seed);
    float middle_x = (float)(width - 1) / 2, middle_y = (float)(height - 1) / 2;
    float last_x = (float)(width - 1), last_y = (float)(height - 1);
    float scale = c.gain / (bits == 8 ? 255.0f : 65535.0f);
    for (uint32_t y = 0; y < height; y++) {
        float dy = (float)y - middle_y - c.shift_y;
        for (uint32_t x = 0; x < width; x++, out += channels) {
            /* Where this pixel comes from: the inverse of zoom, turn and shift. */
            float dx = (float)x - middle_x - c.shift_x;
            float from_x = c.cosine * dx + c.sine * dy;
            float from_y = c.cosine * dy - c.sine * dx;
            from_x = clamp(middle_x + (c.mirror ? -from_x : from_x), 0, last_x);
            from_y = clamp(middle_y + from_y, 0, last_y);
            uint32_t x0 = (uint32_t)from_x, y0 = (uint32_t)from_y;
            float fx = from_x - (float)x0, fy = from_y - (float)y0;
            size_t left = (size_t)x0 * channels, right = (size_t)(x0 + 1 < width ? x0 + 1 : x0) * channels;
            size_t top = (size_t)y0 * width * channels;
            size_t bottom = (size_t)(y0 + 1 < height ? y0 + 1 : y0) * width * channels;
            for (uint32_t k = 0; k < channels; k++) {
                if (bits == 8) {
                    INTERPOLATE(uint8_t, k);
                } else {
                    INTERPOLATE(uint16_t, k);
                }
            }
        }
    }
}
