/* Masks and heat over pictures. */
#include "medsecurefl/report.h"
#include "report/sections.h"

#include <math.h>

/* Told apart by people who see red and green alike, on grey (after Okabe and Ito). */
static const uint8_t colours[][3] = {{230, 159, 0}, {86, 180, 233}, {0, 158, 115}, {240, 228, 66}, {204, 121, 167}};
enum { N_COLOURS = sizeof colours / sizeof colours[0] };

static void mix(uint8_t *rgb, const uint8_t *colour, float share) {
    for (int k = 0; k < 3; k++)
        rgb[k] = (uint8_t)((float)rgb[k] * (1 - share) + (float)colour[k] * share + 0.5f);
}

static const uint8_t *colour_of(uint8_t class_index) {
    return colours[(class_index - 1) % N_COLOURS];
}

void msfl_put_structure(msfl_buffer *out, unsigned structure) {
    const uint8_t *c = colour_of((uint8_t)structure);
    msfl_put_text(out, "<span class=\"swatch\" style=\"background:#%02x%02x%02x\"></span>structure %u", c[0], c[1],
                  c[2], structure);
}

/* From black over red and yellow to white, as embers; what is cold lets the picture through. */
static void glow(uint8_t *rgb, float heat) {
    float h = heat < 0 || !isfinite(heat) ? 0 : heat > 1 ? 1 : heat;
    float parts[3] = {3 * h, 3 * h - 1, 3 * h - 2};
    uint8_t colour[3];
    for (int k = 0; k < 3; k++)
        colour[k] = (uint8_t)(255 * (parts[k] < 0 ? 0 : parts[k] > 1 ? 1 : parts[k]));
    mix(rgb, colour, 0.65f * h);
}

/* Whether a small pixel lies on the edge of the region that its large pixel belongs to: one small pixel wide, inside.
 */
static bool on_edge(const uint8_t *mask, uint32_t height, uint32_t width, uint32_t factor, uint32_t y, uint32_t x) {
    uint32_t my = y / factor, mx = x / factor;
    uint8_t own = mask[(size_t)my * width + mx];
    if (own == 0) return false;
    const int step[4][2] = {{-1, 0}, {1, 0}, {0, -1}, {0, 1}};
    for (int k = 0; k < 4; k++) {
        int64_t ny = (int64_t)y + step[k][0], nx = (int64_t)x + step[k][1];
        if (ny < 0 || nx < 0 || ny >= (int64_t)height * factor || nx >= (int64_t)width * factor) return true;
        if (mask[(size_t)ny / factor * width + (size_t)nx / factor] != own) return true;
    }
    return false;
}

void msfl_overlay_paint(const uint8_t *pixels, uint32_t height, uint32_t width, uint32_t channels,
                        const msfl_overlay *overlay, uint32_t factor, uint8_t *rgb) {
    for (uint32_t y = 0; y < height * factor; y++) {
        for (uint32_t x = 0; x < width * factor; x++, rgb += 3) {
            size_t at = (size_t)(y / factor) * width + x / factor;
            for (uint32_t k = 0; k < 3; k++)
                rgb[k] = pixels[at * channels + (channels == 3 ? k : 0)];
            if (overlay->heat != NULL) glow(rgb, overlay->heat[at]);
            if (overlay->fill != NULL && overlay->fill[at] != 0) mix(rgb, colour_of(overlay->fill[at]), 0.4f);
            if (overlay->outline != NULL && on_edge(overlay->outline, height, width, factor, y, x)) {
                mix(rgb, colour_of(overlay->outline[at]), 1);
            }
        }
    }
}
