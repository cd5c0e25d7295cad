/* One fixed text for recipes that do the same. */
#include "recipe/recipe.h"

#include <stdio.h>
#include <stdlib.h>

const char *const msfl_mirrored_words[4] = {"matters", "irrelevant", "unoriented", NULL};

/* The fewest digits that give the number back: the same text on every machine. */
static void put_number(msfl_buffer *out, double v) {
    char text[40];
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, v);
        if (strtod(text, NULL) == v) break;
    }
    msfl_put_text(out, "%s", text);
}

static void put_region(msfl_buffer *out, const char *key, const msfl_region *r) {
    static const char *const words[] = {"all", "nonzero", "", "otsu"};
    if (r->kind != MSFL_REGION_ABOVE) {
        msfl_put_text(out, "%s: %s", key, words[r->kind]);
        return;
    }
    msfl_put_text(out, "%s: {above: ", key);
    put_number(out, r->above);
    msfl_put_text(out, "}");
}

static void put_size(msfl_buffer *out, const msfl_step *s, bool is_flat) {
    msfl_put_text(out, "size: [%u, %u", s->size[0], s->size[1]);
    if (!is_flat) msfl_put_text(out, ", %u", s->size[2]);
    msfl_put_text(out, "]");
}

static void put_step(msfl_buffer *out, const msfl_step *s, bool *is_flat) {
    static const char *const axes[] = {"columns", "rows", "slices", "sagittal", "coronal", "axial"};
    switch (s->kind) {
    case MSFL_STEP_ORIENT:
        msfl_put_text(out, "  - orient: %s\n", s->axes);
        return;
    case MSFL_STEP_RESAMPLE:
        msfl_put_text(out, "  - resample: {spacing: [");
        for (int i = 0; i < (*is_flat ? 2 : 3); i++) {
            if (i > 0) msfl_put_text(out, ", ");
            put_number(out, s->spacing[i]);
        }
        msfl_put_text(out, "], by: %s", s->nearest ? "nearest" : "linear");
        break;
    case MSFL_STEP_WINDOW:
    case MSFL_STEP_PERCENTILES:
        msfl_put_text(out, "  - %s: {low: ", s->kind == MSFL_STEP_WINDOW ? "window" : "percentiles");
        put_number(out, s->low);
        msfl_put_text(out, ", high: ");
        put_number(out, s->high);
        if (s->kind == MSFL_STEP_PERCENTILES) {
            msfl_put_text(out, ", ");
            put_region(out, "of", &s->region);
        }
        break;
    case MSFL_STEP_ZSCORE:
        msfl_put_text(out, "  - zscore: {");
        put_region(out, "of", &s->region);
        break;
    case MSFL_STEP_FIT:
        msfl_put_text(out, "  - fit: {");
        put_size(out, s, *is_flat);
        msfl_put_text(out, ", about: %s, ", s->on_content ? "content" : "middle");
        if (s->on_content) {
            put_region(out, "content", &s->region);
            msfl_put_text(out, ", ");
        }
        msfl_put_text(out, "fill: ");
        if (s->fill_minimum) {
            msfl_put_text(out, "minimum");
        } else {
            put_number(out, s->fill);
        }
        break;
    case MSFL_STEP_RESIZE:
        msfl_put_text(out, "  - resize: {");
        put_size(out, s, *is_flat);
        break;
    case MSFL_STEP_SLICES:
        msfl_put_text(out, "  - slices: {axis: %s", axes[s->axis + (s->upright ? 3 : 0)]);
        if (s->count > 0) msfl_put_text(out, ", count: %u", s->count);
        if (s->share > 0) {
            msfl_put_text(out, ", share: ");
            put_number(out, s->share);
            msfl_put_text(out, ", ");
            put_region(out, "content", &s->region);
        }
        /* Left out where there are none: recipes of before keep their hash. */
        if (s->neighbours > 0) msfl_put_text(out, ", neighbours: %u", s->neighbours);
        *is_flat = true;
        break;
    }
    msfl_put_text(out, "}\n");
}

void msfl_recipe_text(const msfl_recipe *r, msfl_buffer *out) {
    bool is_flat = !r->volumes;
    msfl_put_text(out, "recipe: %d\ninput: %s\nvalues: %s\ncolour: %s\nlaterality: %s\n", MSFL_RECIPE_VERSION,
                  r->volumes ? "volume" : "picture", r->display ? "display" : "measured", r->rgb ? "rgb" : "grey",
                  msfl_mirrored_words[r->mirrored]);
    for (uint32_t i = 0; i < r->n_sequences; i++)
        msfl_put_text(out, "%s\"%s\"%s", i == 0 ? "sequences: [" : ", ", r->sequences[i],
                      i + 1 == r->n_sequences ? "]\n" : "");
    msfl_put_text(out, "steps:\n");
    for (uint32_t i = 0; i < r->n_steps; i++)
        put_step(out, &r->steps[i], &is_flat);
    msfl_put_text(out, "store: {bits: %u, range: [", r->bits);
    put_number(out, r->low);
    msfl_put_text(out, ", ");
    put_number(out, r->high);
    msfl_put_text(out, "]}\n");
}
