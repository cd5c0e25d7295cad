/* Small random changes of pose and exposure, the kind that two visits of one patient differ by. */
#include "dataset/augment.h"

#include "dataset/pixels.h"

#include <math.h>
#include <string.h>

static double plus_minus(msfl_seeded *g, double range) {
    return range * (2 * msfl_seeded_unit(g) - 1);
}

/* Kinds that came later; whoever uses none of them gets what the first version gave, to the bit. */
static bool is_more(const msfl_augment *a) {
    return a->shear_degrees != 0 || a->elastic != 0 || a->gamma != 0 || a->noise != 0 || a->blur != 0 ||
           a->cutout != 0 || a->flip_vertical;
}

static void draw_more(msfl_seeded *g, const msfl_augment *a, uint32_t height, uint32_t width, msfl_change *c) {
    c->more = true;
    c->shear = (float)tan(plus_minus(g, a->shear_degrees) * 3.14159265358979323846 / 180);
    c->flip = msfl_seeded_unit(g) < 0.5 && a->flip_vertical;
    c->gamma = (float)exp(plus_minus(g, log1p(a->gamma)));
    c->noise = (float)(a->noise * msfl_seeded_unit(g));
    c->noise_key = msfl_seeded_u64(g);
    c->blur = (float)(a->blur * msfl_seeded_unit(g));
    double coin = msfl_seeded_unit(g), at_x = msfl_seeded_unit(g), at_y = msfl_seeded_unit(g);
    if (coin < 0.5) {
        c->cut_width = (uint32_t)(a->cutout * (float)width + 0.5f);
        c->cut_height = (uint32_t)(a->cutout * (float)height + 0.5f);
        c->cut_x = (uint32_t)(at_x * (width - c->cut_width + 1));
        c->cut_y = (uint32_t)(at_y * (height - c->cut_height + 1));
    }
    c->bends = a->elastic > 0;
    for (int k = 0; k < MSFL_ELASTIC_POINTS * MSFL_ELASTIC_POINTS; k++) {
        c->bend_x[k] = (float)(plus_minus(g, a->elastic) * width);
        c->bend_y[k] = (float)(plus_minus(g, a->elastic) * height);
    }
}

/* Every value is drawn whether it is used or not, so that switching one kind of change on leaves the others alone. */
void msfl_change_draw(const msfl_augment *a, uint32_t height, uint32_t width, uint64_t seed, msfl_change *out) {
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
    *out = (msfl_change){
        .cosine = (float)(cos(angle) / zoom),
        .sine = (float)(sin(angle) / zoom),
        .shift_x = (float)shift_x,
        .shift_y = (float)shift_y,
        .gain = (float)gain,
        .offset = (float)offset,
        .mirror = a->flip_horizontal && coin < 0.5,
    };
    if (is_more(a)) draw_more(&g, a, height, width, out);
}

static inline float clamp(float v, float low, float high) {
    return v < low ? low : v > high ? high : v;
}

/* Displacement at a place that is 0 to 1 across: between the four points around it, by weights whose slope is zero at
 * the points, so that nothing breaks there. */
static float bend(const float *points, float u, float v) {
    enum { N = MSFL_ELASTIC_POINTS };
    float x = u * (N - 1), y = v * (N - 1);
    uint32_t ix = x < N - 1 ? (uint32_t)x : N - 2, iy = y < N - 1 ? (uint32_t)y : N - 2;
    float tx = x - (float)ix, ty = y - (float)iy;
    float wx = tx * tx * (3 - 2 * tx), wy = ty * ty * (3 - 2 * ty);
    const float *p = points + iy * N + ix;
    float upper = p[0] + wx * (p[1] - p[0]), lower = p[N] + wx * (p[N + 1] - p[N]);
    return upper + wy * (lower - upper);
}

typedef struct frame {
    float middle_x, middle_y, last_x, last_y;
} frame;

static frame frame_of(uint32_t height, uint32_t width) {
    return (frame){(float)(width - 1) / 2, (float)(height - 1) / 2, (float)(width - 1), (float)(height - 1)};
}

/* Where a pixel comes from: the inverse of zoom, turn, shear and shift, and a bend; within the picture. */
static inline void source_of(const msfl_change *c, const frame *f, uint32_t x, uint32_t y, float *out_x, float *out_y) {
    float dx = (float)x - f->middle_x - c->shift_x, dy = (float)y - f->middle_y - c->shift_y;
    float from_x = c->cosine * dx + c->sine * dy;
    float from_y = c->cosine * dy - c->sine * dx;
    if (c->more) {
        from_x += c->shear * from_y;
        if (c->flip) from_y = -from_y;
    }
    from_x = f->middle_x + (c->mirror ? -from_x : from_x);
    from_y = f->middle_y + from_y;
    if (c->bends) {
        float u = (float)x / fmaxf(f->last_x, 1), v = (float)y / fmaxf(f->last_y, 1);
        from_x += bend(c->bend_x, u, v);
        from_y += bend(c->bend_y, u, v);
    }
    *out_x = clamp(from_x, 0, f->last_x);
    *out_y = clamp(from_y, 0, f->last_y);
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

msfl_status msfl_pixels_augment(const void *samples, uint32_t bits, uint32_t height, uint32_t width, uint32_t channels,
                                const msfl_augment *augment, uint64_t seed, uint32_t slice, float *pixels) {
    msfl_change c;
    msfl_change_draw(augment, height, width, seed, &c);
    c.noise_key += slice * 0xd1342543de82ef95u; /* odd: another key for each slice */
    const frame f = frame_of(height, width);
    float scale = c.gain / (bits == 8 ? 255.0f : 65535.0f), *out = pixels;
    for (uint32_t y = 0; y < height; y++) {
        for (uint32_t x = 0; x < width; x++, out += channels) {
            float from_x, from_y;
            source_of(&c, &f, x, y, &from_x, &from_y);
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
    return c.more ? msfl_change_finish(&c, height, width, channels, pixels) : MSFL_OK;
}

void msfl_mask_augment(const uint8_t *mask, uint32_t height, uint32_t width, const msfl_augment *augment, uint64_t seed,
                       uint32_t *out) {
    msfl_change c;
    msfl_change_draw(augment, height, width, seed, &c);
    const frame f = frame_of(height, width);
    for (uint32_t y = 0; y < height; y++) {
        for (uint32_t x = 0; x < width; x++) {
            float from_x, from_y;
            source_of(&c, &f, x, y, &from_x, &from_y);
            *out++ = mask[(size_t)(from_y + 0.5f) * width + (size_t)(from_x + 0.5f)];
        }
    }
}
