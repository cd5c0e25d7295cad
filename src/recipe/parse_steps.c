/* The steps of a recipe, each with what it takes. */
#include "recipe/parse.h"

#include <float.h>
#include <math.h>
#include <string.h>

msfl_status recipe_no_key(const recipe_parser *p, const msfl_yaml *at, const char *step, const char *key) {
    return msfl_yaml_fail(p->name, at, "%s needs the key '%s'", step, key);
}

msfl_status recipe_read_list(const recipe_parser *p, const msfl_yaml *node, const char *what, const char *of,
                             uint32_t n, double min, double max, double *out) {
    if (node->kind != MSFL_YAML_SEQUENCE || node->n != n) {
        return msfl_yaml_fail(p->name, node, "%s is a list of %u numbers: %s", what, n, of);
    }
    size_t i = 0;
    for (const msfl_yaml *v = node->first; v != NULL; v = v->next, i++) {
        msfl_status status = msfl_yaml_f64(p->name, v, what, min, max, &out[i]);
        if (status != MSFL_OK) return status;
    }
    return MSFL_OK;
}

/* A number for each axis of the image as it is at this step. */
static msfl_status read_axes(const recipe_parser *p, const msfl_yaml *node, const char *what, double min, double max,
                             double out[3]) {
    const char *of = p->is_flat ? "columns, rows" : "columns, rows, slices";
    return recipe_read_list(p, node, what, of, p->is_flat ? 2 : 3, min, max, out);
}

static msfl_status read_size(const recipe_parser *p, const msfl_yaml *map, const char *step, msfl_step *s) {
    const msfl_yaml *node = msfl_yaml_get(map, "size");
    if (node == NULL) return recipe_no_key(p, map, step, "size");
    double size[3] = {1, 1, 1};
    msfl_status status = read_axes(p, node, "size", 1, MSFL_RECIPE_SIDE_MAX, size);
    if (status != MSFL_OK) return status;
    size_t i = 0;
    for (const msfl_yaml *v = node->first; v != NULL; v = v->next, i++) {
        if (size[i] != floor(size[i])) return msfl_yaml_fail(p->name, v, "size takes whole numbers");
    }
    for (i = 0; i < 3; i++)
        s->size[i] = (uint32_t)size[i];
    return MSFL_OK;
}

/* all, nonzero, otsu, or {above: V}. */
static msfl_status read_region(const recipe_parser *p, const msfl_yaml *node, const char *what, msfl_region *out) {
    static const char *const words[] = {"all", "nonzero", "otsu", NULL}, *const keys[] = {"above", NULL};
    static const msfl_region_kind kinds[] = {MSFL_REGION_ALL, MSFL_REGION_NONZERO, MSFL_REGION_OTSU};
    if (node == NULL) return MSFL_OK;
    if (node->kind == MSFL_YAML_MAPPING) {
        msfl_status status = msfl_yaml_only(p->name, node, keys);
        const msfl_yaml *above = msfl_yaml_get(node, "above");
        if (status == MSFL_OK && above == NULL) status = recipe_no_key(p, node, what, "above");
        if (status != MSFL_OK) return status;
        out->kind = MSFL_REGION_ABOVE;
        return msfl_yaml_f64(p->name, above, "above", -FLT_MAX, FLT_MAX, &out->above);
    }
    uint32_t choice;
    msfl_status status = msfl_yaml_choice(p->name, node, what, words, &choice);
    if (status == MSFL_OK) out->kind = kinds[choice];
    return status;
}

static msfl_status volumes_only(const recipe_parser *p, const msfl_yaml *at, const char *step) {
    return p->is_flat
               ? msfl_yaml_fail(p->name, at, "%s is for volumes: say 'input: volume', and put it before slices", step)
               : MSFL_OK;
}

/* Statistics are those of the whole volume, wherever slices are taken from. */
static msfl_status before_slices(const recipe_parser *p, const msfl_yaml *at, const char *step) {
    return p->is_flat && p->r->volumes
               ? msfl_yaml_fail(p->name, at, "%s comes before slices: it is computed over the whole volume", step)
               : MSFL_OK;
}

static msfl_status read_orient(recipe_parser *p, const msfl_yaml *v, msfl_step *s) {
    msfl_status status = volumes_only(p, v, "orient");
    if (status != MSFL_OK) return status;
    bool seen[3] = {false, false, false};
    bool good = v->kind == MSFL_YAML_SCALAR && strlen(v->text) == 3;
    for (int i = 0; i < 3 && good; i++) {
        const char *pairs[] = {"RL", "AP", "SI"};
        int axis = 0;
        while (axis < 3 && strchr(pairs[axis], v->text[i]) == NULL)
            axis++;
        good = axis < 3 && !seen[axis];
        if (good) seen[axis] = true;
    }
    if (!good) {
        return msfl_yaml_fail(p->name, v,
                              "orient takes three letters, one each of R or L, A or P, S or I: the sides that columns, "
                              "rows and slices run to, as RAS");
    }
    memcpy(s->axes, v->text, 4);
    p->is_turned = strcmp(s->axes, "RAS") == 0;
    p->is_sized = false;
    return MSFL_OK;
}

static msfl_status read_resample(recipe_parser *p, const msfl_yaml *v, msfl_step *s) {
    static const char *const keys[] = {"spacing", "by", NULL}, *const ways[] = {"linear", "nearest", NULL};
    msfl_status status = before_slices(p, v, "resample");
    if (status == MSFL_OK) status = msfl_yaml_only(p->name, v, keys);
    if (status != MSFL_OK) return status;
    const msfl_yaml *spacing = msfl_yaml_get(v, "spacing"), *by = msfl_yaml_get(v, "by");
    if (spacing == NULL) return recipe_no_key(p, v, "resample", "spacing");
    status = read_axes(p, spacing, "spacing", 1e-3, 1e3, s->spacing);
    uint32_t way = 0;
    if (status == MSFL_OK && by != NULL) status = msfl_yaml_choice(p->name, by, "by", ways, &way);
    s->nearest = way == 1;
    p->is_sized = false;
    return status;
}

static msfl_status read_window(recipe_parser *p, const msfl_yaml *v, msfl_step *s) {
    static const char *const keys[] = {"low", "high", "centre", "width", NULL};
    msfl_status status = before_slices(p, v, "window");
    if (status == MSFL_OK) status = msfl_yaml_only(p->name, v, keys);
    const msfl_yaml *at[4];
    double n[4] = {0};
    for (int i = 0; i < 4 && status == MSFL_OK; i++) {
        at[i] = msfl_yaml_get(v, keys[i]);
        if (at[i] != NULL) status = msfl_yaml_f64(p->name, at[i], keys[i], -1e30, 1e30, &n[i]);
    }
    if (status != MSFL_OK) return status;
    bool ends = at[0] != NULL && at[1] != NULL && at[2] == NULL && at[3] == NULL;
    bool middle = at[0] == NULL && at[1] == NULL && at[2] != NULL && at[3] != NULL;
    if (!ends && !middle) return msfl_yaml_fail(p->name, v, "window takes low and high, or centre and width");
    s->low = ends ? n[0] : n[2] - n[3] / 2;
    s->high = ends ? n[1] : n[2] + n[3] / 2;
    if (!(s->high > s->low)) return msfl_yaml_fail(p->name, v, "the window is empty: high must be above low");
    p->low = 0;
    p->high = 1;
    return MSFL_OK;
}

static msfl_status read_percentiles(recipe_parser *p, const msfl_yaml *v, msfl_step *s) {
    static const char *const keys[] = {"low", "high", "of", NULL};
    msfl_status status = before_slices(p, v, "percentiles");
    if (status == MSFL_OK) status = msfl_yaml_only(p->name, v, keys);
    if (status != MSFL_OK) return status;
    double *const ends[] = {&s->low, &s->high};
    for (int i = 0; i < 2; i++) {
        const msfl_yaml *end = msfl_yaml_get(v, keys[i]);
        if (end == NULL) return recipe_no_key(p, v, "percentiles", keys[i]);
        status = msfl_yaml_f64(p->name, end, keys[i], 0, 100, ends[i]);
        if (status != MSFL_OK) return status;
    }
    if (!(s->high > s->low)) return msfl_yaml_fail(p->name, v, "percentiles: high must be above low");
    p->low = 0;
    p->high = 1;
    return read_region(p, msfl_yaml_get(v, "of"), "of", &s->region);
}

static msfl_status read_zscore(recipe_parser *p, const msfl_yaml *v, msfl_step *s) {
    static const char *const keys[] = {"of", NULL};
    enum { DEVIATIONS = 5 };
    msfl_status status = before_slices(p, v, "zscore");
    if (status == MSFL_OK) status = msfl_yaml_only(p->name, v, keys);
    if (status != MSFL_OK) return status;
    p->low = -DEVIATIONS;
    p->high = DEVIATIONS;
    return read_region(p, msfl_yaml_get(v, "of"), "of", &s->region);
}

static msfl_status read_fit(recipe_parser *p, const msfl_yaml *v, msfl_step *s) {
    static const char *const keys[] = {"size", "about", "content", "fill", NULL};
    static const char *const about[] = {"middle", "content", NULL};
    msfl_status status = msfl_yaml_only(p->name, v, keys);
    if (status == MSFL_OK) status = read_size(p, v, "fit", s);
    const msfl_yaml *where = msfl_yaml_get(v, "about"), *fill = msfl_yaml_get(v, "fill");
    const msfl_yaml *content = msfl_yaml_get(v, "content");
    uint32_t choice = 0;
    if (status == MSFL_OK && where != NULL) status = msfl_yaml_choice(p->name, where, "about", about, &choice);
    s->on_content = choice == 1;
    if (s->on_content) s->region.kind = MSFL_REGION_OTSU;
    if (status == MSFL_OK && content != NULL && !s->on_content) {
        status = msfl_yaml_fail(p->name, content, "content says what 'about: content' means, and that is not there");
    }
    if (status == MSFL_OK) status = read_region(p, content, "content", &s->region);
    s->fill_minimum = fill == NULL || (fill->kind == MSFL_YAML_SCALAR && strcmp(fill->text, "minimum") == 0);
    if (status == MSFL_OK && !s->fill_minimum) status = msfl_yaml_f64(p->name, fill, "fill", -1e30, 1e30, &s->fill);
    p->is_sized = true;
    memcpy(p->size, s->size, sizeof p->size);
    return status;
}

static msfl_status read_resize(recipe_parser *p, const msfl_yaml *v, msfl_step *s) {
    static const char *const keys[] = {"size", NULL};
    msfl_status status = msfl_yaml_only(p->name, v, keys);
    if (status == MSFL_OK) status = read_size(p, v, "resize", s);
    p->is_sized = true;
    memcpy(p->size, s->size, sizeof p->size);
    return status;
}

static msfl_status read_slices(recipe_parser *p, const msfl_yaml *v, msfl_step *s) {
    static const char *const keys[] = {"axis", "count", "share", "content", "neighbours", NULL};
    static const char *const axes[] = {"axial", "coronal", "sagittal", "slices", "rows", "columns", NULL};
    msfl_status status = volumes_only(p, v, "slices");
    if (status == MSFL_OK) status = msfl_yaml_only(p->name, v, keys);
    const msfl_yaml *axis = msfl_yaml_get(v, "axis"), *count = msfl_yaml_get(v, "count");
    const msfl_yaml *share = msfl_yaml_get(v, "share"), *content = msfl_yaml_get(v, "content");
    const msfl_yaml *beside = msfl_yaml_get(v, "neighbours");
    uint32_t choice = 0;
    if (status == MSFL_OK && axis == NULL) status = recipe_no_key(p, v, "slices", "axis");
    if (status == MSFL_OK) status = msfl_yaml_choice(p->name, axis, "axis", axes, &choice);
    if (status == MSFL_OK && choice < 3 && !p->is_turned) {
        status = msfl_yaml_fail(
            p->name, axis, "'%s' needs 'orient: RAS' before it; without, say slices, rows or columns", axes[choice]);
    }
    s->axis = 2 - choice % 3;
    s->upright = choice < 3;
    if (status == MSFL_OK && count != NULL) {
        status = msfl_yaml_u32(p->name, count, "count", 1, MSFL_RECIPE_SLICES_MAX, &s->count);
    }
    if (status == MSFL_OK && share != NULL) status = msfl_yaml_f64(p->name, share, "share", 0, 1, &s->share);
    if (status == MSFL_OK && beside != NULL) {
        status = msfl_yaml_u32(p->name, beside, "neighbours", 0, MSFL_RECIPE_NEIGHBOURS_MAX, &s->neighbours);
        p->r->neighbours = s->neighbours;
    }
    if (status == MSFL_OK && content != NULL && s->share <= 0) {
        status = msfl_yaml_fail(p->name, content, "content says what 'share' is a share of, and that is not there");
    }
    if (s->share > 0) s->region.kind = MSFL_REGION_OTSU;
    if (status == MSFL_OK) status = read_region(p, content, "content", &s->region);
    if (status != MSFL_OK) return status;
    uint32_t across = s->axis == 0 ? 1 : 0, down = s->axis == 2 ? 1 : 2;
    p->size[0] = p->size[across];
    p->size[1] = p->size[down];
    p->size[2] = 1;
    p->is_flat = true;
    return MSFL_OK;
}

msfl_status recipe_read_step(recipe_parser *p, const msfl_yaml *item) {
    static const struct {
        const char *word;
        msfl_step_kind kind;
        msfl_status (*read)(recipe_parser *, const msfl_yaml *, msfl_step *);
    } steps[] = {{"orient", MSFL_STEP_ORIENT, read_orient}, {"resample", MSFL_STEP_RESAMPLE, read_resample},
                 {"window", MSFL_STEP_WINDOW, read_window}, {"percentiles", MSFL_STEP_PERCENTILES, read_percentiles},
                 {"zscore", MSFL_STEP_ZSCORE, read_zscore}, {"fit", MSFL_STEP_FIT, read_fit},
                 {"resize", MSFL_STEP_RESIZE, read_resize}, {"slices", MSFL_STEP_SLICES, read_slices}};
    if (item->kind != MSFL_YAML_MAPPING || item->n != 1) {
        return msfl_yaml_fail(
            p->name, item, "a step is one word with what it takes, as '- resize: {size: [64, 64]}' or '- zscore: {}'");
    }
    const msfl_yaml *v = item->first;
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        if (strcmp(v->key, steps[i].word) != 0) continue;
        msfl_step *s = &p->r->steps[p->r->n_steps++];
        s->kind = steps[i].kind;
        return steps[i].read(p, v, s);
    }
    return msfl_yaml_fail(p->name, item,
                          "there is no step '%.32s'; there are orient, resample, window, percentiles, zscore, fit, "
                          "resize, slices",
                          v->key);
}
