/* From YAML to a recipe. */
#include "recipe/recipe.h"

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "text/yaml.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* What is known of the image at this point of the recipe. */
typedef struct parser {
    const char *name;
    msfl_recipe *r;
    bool is_flat;   /* single pictures: from the start, or after slices */
    bool is_turned; /* to RAS: slices may be called axial */
    bool is_sized;  /* width and height are known */
    uint32_t size[3];
    double low, high; /* range of values; NaN: unknown */
} parser;

static uint32_t n_axes(const parser *p) {
    return p->is_flat ? 2 : 3;
}

static msfl_status no_key(const parser *p, const msfl_yaml *at, const char *step, const char *key) {
    return msfl_yaml_fail(p->name, at, "%s needs the key '%s'", step, key);
}

static msfl_status read_list(const parser *p, const msfl_yaml *node, const char *what, double min, double max,
                             bool whole, double out[3]) {
    if (node->kind != MSFL_YAML_SEQUENCE || node->n != n_axes(p)) {
        return msfl_yaml_fail(p->name, node, "%s is a list of %u numbers: columns, rows%s", what, n_axes(p),
                              p->is_flat ? "" : ", slices");
    }
    size_t i = 0;
    for (const msfl_yaml *v = node->first; v != NULL; v = v->next, i++) {
        msfl_status status = msfl_yaml_f64(p->name, v, what, min, max, &out[i]);
        if (status != MSFL_OK) return status;
        if (whole && out[i] != floor(out[i])) return msfl_yaml_fail(p->name, v, "%s takes whole numbers", what);
    }
    return MSFL_OK;
}

static msfl_status read_size(const parser *p, const msfl_yaml *map, const char *step, msfl_step *s) {
    const msfl_yaml *node = msfl_yaml_get(map, "size");
    if (node == NULL) return no_key(p, map, step, "size");
    double size[3] = {1, 1, 1};
    msfl_status status = read_list(p, node, "size", 1, MSFL_RECIPE_SIDE_MAX, true, size);
    for (int i = 0; i < 3; i++)
        s->size[i] = (uint32_t)size[i];
    return status;
}

/* all, nonzero, otsu, or {above: V}. */
static msfl_status read_region(const parser *p, const msfl_yaml *node, const char *what, msfl_region *out) {
    static const char *const words[] = {"all", "nonzero", "otsu", NULL}, *const keys[] = {"above", NULL};
    static const msfl_region_kind kinds[] = {MSFL_REGION_ALL, MSFL_REGION_NONZERO, MSFL_REGION_OTSU};
    if (node == NULL) return MSFL_OK;
    if (node->kind == MSFL_YAML_MAPPING) {
        msfl_status status = msfl_yaml_only(p->name, node, keys);
        const msfl_yaml *above = msfl_yaml_get(node, "above");
        if (status == MSFL_OK && above == NULL) status = no_key(p, node, what, "above");
        if (status != MSFL_OK) return status;
        out->kind = MSFL_REGION_ABOVE;
        return msfl_yaml_f64(p->name, above, "above", -FLT_MAX, FLT_MAX, &out->above);
    }
    uint32_t choice;
    msfl_status status = msfl_yaml_choice(p->name, node, what, words, &choice);
    if (status == MSFL_OK) out->kind = kinds[choice];
    return status;
}

static msfl_status volumes_only(const parser *p, const msfl_yaml *at, const char *step) {
    return p->is_flat
               ? msfl_yaml_fail(p->name, at, "%s is for volumes: say 'input: volume', and put it before slices", step)
               : MSFL_OK;
}

/* Statistics are those of the whole volume, wherever slices are taken from. */
static msfl_status before_slices(const parser *p, const msfl_yaml *at, const char *step) {
    return p->is_flat && p->r->volumes
               ? msfl_yaml_fail(p->name, at, "%s comes before slices: it is computed over the whole volume", step)
               : MSFL_OK;
}

static msfl_status read_orient(parser *p, const msfl_yaml *v, msfl_step *s) {
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

static msfl_status read_resample(parser *p, const msfl_yaml *v, msfl_step *s) {
    static const char *const keys[] = {"spacing", "by", NULL}, *const ways[] = {"linear", "nearest", NULL};
    msfl_status status = before_slices(p, v, "resample");
    if (status == MSFL_OK) status = msfl_yaml_only(p->name, v, keys);
    if (status != MSFL_OK) return status;
    const msfl_yaml *spacing = msfl_yaml_get(v, "spacing"), *by = msfl_yaml_get(v, "by");
    if (spacing == NULL) return no_key(p, v, "resample", "spacing");
    status = read_list(p, spacing, "spacing", 1e-3, 1e3, false, s->spacing);
    uint32_t way = 0;
    if (status == MSFL_OK && by != NULL) status = msfl_yaml_choice(p->name, by, "by", ways, &way);
    s->nearest = way == 1;
    p->is_sized = false;
    return status;
}

static msfl_status read_window(parser *p, const msfl_yaml *v, msfl_step *s) {
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

static msfl_status read_percentiles(parser *p, const msfl_yaml *v, msfl_step *s) {
    static const char *const keys[] = {"low", "high", "of", NULL};
    msfl_status status = before_slices(p, v, "percentiles");
    if (status == MSFL_OK) status = msfl_yaml_only(p->name, v, keys);
    if (status != MSFL_OK) return status;
    double *const ends[] = {&s->low, &s->high};
    for (int i = 0; i < 2; i++) {
        const msfl_yaml *end = msfl_yaml_get(v, keys[i]);
        if (end == NULL) return no_key(p, v, "percentiles", keys[i]);
        status = msfl_yaml_f64(p->name, end, keys[i], 0, 100, ends[i]);
        if (status != MSFL_OK) return status;
    }
    if (!(s->high > s->low)) return msfl_yaml_fail(p->name, v, "percentiles: high must be above low");
    p->low = 0;
    p->high = 1;
    return read_region(p, msfl_yaml_get(v, "of"), "of", &s->region);
}

static msfl_status read_zscore(parser *p, const msfl_yaml *v, msfl_step *s) {
    static const char *const keys[] = {"of", NULL};
    enum { DEVIATIONS = 5 };
    msfl_status status = before_slices(p, v, "zscore");
    if (status == MSFL_OK) status = msfl_yaml_only(p->name, v, keys);
    if (status != MSFL_OK) return status;
    p->low = -DEVIATIONS;
    p->high = DEVIATIONS;
    return read_region(p, msfl_yaml_get(v, "of"), "of", &s->region);
}

static msfl_status read_fit(parser *p, const msfl_yaml *v, msfl_step *s) {
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

static msfl_status read_resize(parser *p, const msfl_yaml *v, msfl_step *s) {
    static const char *const keys[] = {"size", NULL};
    msfl_status status = msfl_yaml_only(p->name, v, keys);
    if (status == MSFL_OK) status = read_size(p, v, "resize", s);
    p->is_sized = true;
    memcpy(p->size, s->size, sizeof p->size);
    return status;
}

static msfl_status read_slices(parser *p, const msfl_yaml *v, msfl_step *s) {
    static const char *const keys[] = {"axis", "count", "share", "content", "neighbours", NULL};
    static const char *const axes[] = {"axial", "coronal", "sagittal", "slices", "rows", "columns", NULL};
    msfl_status status = volumes_only(p, v, "slices");
    if (status == MSFL_OK) status = msfl_yaml_only(p->name, v, keys);
    const msfl_yaml *axis = msfl_yaml_get(v, "axis"), *count = msfl_yaml_get(v, "count");
    const msfl_yaml *share = msfl_yaml_get(v, "share"), *content = msfl_yaml_get(v, "content");
    const msfl_yaml *beside = msfl_yaml_get(v, "neighbours");
    uint32_t choice = 0;
    if (status == MSFL_OK && axis == NULL) status = no_key(p, v, "slices", "axis");
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

static msfl_status read_step(parser *p, const msfl_yaml *item) {
    static const struct {
        const char *word;
        msfl_step_kind kind;
        msfl_status (*read)(parser *, const msfl_yaml *, msfl_step *);
    } steps[] = {{"orient", MSFL_STEP_ORIENT, read_orient}, {"resample", MSFL_STEP_RESAMPLE, read_resample},
                 {"window", MSFL_STEP_WINDOW, read_window}, {"percentiles", MSFL_STEP_PERCENTILES, read_percentiles},
                 {"zscore", MSFL_STEP_ZSCORE, read_zscore}, {"fit", MSFL_STEP_FIT, read_fit},
                 {"resize", MSFL_STEP_RESIZE, read_resize}, {"slices", MSFL_STEP_SLICES, read_slices}};
    if (item->kind != MSFL_YAML_MAPPING || item->n != 1) {
        return msfl_yaml_fail(p->name, item, "a step is one word with what it takes, as '- resize: {size: [64, 64]}'");
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

/* YAML's escapes write characters that stand nowhere in the file; names are shown, and stand in the hashed text. */
static bool has_control(const char *text) {
    for (const unsigned char *p = (const unsigned char *)text; *p != 0; p++) {
        if (*p < 0x20 || *p == 0x7f || (p[0] == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0)) return true;
    }
    return false;
}

static msfl_status read_sequences(parser *p, const msfl_yaml *node) {
    msfl_recipe *r = p->r;
    if (node->kind != MSFL_YAML_SEQUENCE || node->n < 1 || node->n > MSFL_RECIPE_SEQUENCES_MAX) {
        return msfl_yaml_fail(p->name, node, "sequences is a list of 1 to %d columns of labels.csv",
                              MSFL_RECIPE_SEQUENCES_MAX);
    }
    for (const msfl_yaml *v = node->first; v != NULL; v = v->next) {
        if (v->kind != MSFL_YAML_SCALAR || v->text[0] == 0 || strlen(v->text) >= MSFL_RECIPE_NAME_BYTES ||
            strpbrk(v->text, "\"\\") != NULL || has_control(v->text)) {
            return msfl_yaml_fail(p->name, v,
                                  "the name of a column has 1 to %d characters, without quotes and control characters",
                                  MSFL_RECIPE_NAME_BYTES - 1);
        }
        memcpy(r->sequences[r->n_sequences++], v->text, strlen(v->text) + 1);
    }
    return MSFL_OK;
}

static msfl_status read_store(parser *p, const msfl_yaml *node) {
    static const char *const keys[] = {"bits", "range", NULL}, *const depths[] = {"8", "16", NULL};
    msfl_recipe *r = p->r;
    r->bits = r->volumes ? 16 : 8;
    if (node != NULL) {
        msfl_status status = msfl_yaml_only(p->name, node, keys);
        const msfl_yaml *bits = msfl_yaml_get(node, "bits"), *range = msfl_yaml_get(node, "range");
        uint32_t choice;
        if (status == MSFL_OK && bits != NULL) {
            status = msfl_yaml_choice(p->name, bits, "bits", depths, &choice);
            if (status == MSFL_OK) r->bits = choice == 0 ? 8 : 16;
        }
        if (status == MSFL_OK && range != NULL) {
            double ends[3] = {0};
            bool was_flat = p->is_flat;
            p->is_flat = true; /* two numbers */
            status = read_list(p, range, "range", -1e30, 1e30, false, ends);
            p->is_flat = was_flat;
            p->low = ends[0];
            p->high = ends[1];
            if (status == MSFL_OK && !(p->high > p->low)) {
                status = msfl_yaml_fail(p->name, range, "the range is empty: its second number must be the larger one");
            }
        }
        if (status != MSFL_OK) return status;
    }
    r->low = p->low;
    r->high = p->high;
    return MSFL_OK;
}

static msfl_status finish(parser *p, const msfl_yaml *root) {
    msfl_recipe *r = p->r;
    if (!p->is_sized) {
        return msfl_yaml_fail(p->name, root,
                              "the size of what comes out is not known: end with resize or fit, behind resample and "
                              "orient%s",
                              p->is_flat ? "" : "; or take slices of the volume");
    }
    r->depth = p->is_flat ? 1 : p->size[2];
    if (!p->is_flat && r->depth < 2) {
        return msfl_yaml_fail(p->name, root, "a volume of one slice comes out; use a step slices for pictures");
    }
    if (isnan(r->low)) {
        return msfl_yaml_fail(p->name, root,
                              "values as measured have no known range: add window, percentiles or zscore, or say "
                              "'store: {range: [LOW, HIGH]}'");
    }
    r->width = p->size[0];
    r->height = p->size[1];
    r->channels = (r->rgb ? 3 : r->n_sequences > 0 ? r->n_sequences : 1) * (2 * r->neighbours + 1);
    if (r->channels > MSFL_RECIPE_CHANNELS_MAX) {
        return msfl_yaml_fail(p->name, root,
                              "%u sequences with %u neighbours on either side are %u channels; at most %d",
                              r->n_sequences, r->neighbours, r->channels, MSFL_RECIPE_CHANNELS_MAX);
    }
    uint64_t values = (uint64_t)r->width * r->height * r->depth * r->channels; /* below 2^40 */
    if (!p->is_flat && values > MSFL_RECIPE_VALUES_MAX) {
        return msfl_yaml_fail(p->name, root, "volumes of more than %d values come out", MSFL_RECIPE_VALUES_MAX);
    }
    return MSFL_OK;
}

static msfl_status read_head(parser *p, const msfl_yaml *root) {
    static const char *const keys[] = {"recipe",    "name",  "input", "values",     "colour",
                                       "sequences", "steps", "store", "laterality", NULL};
    static const char *const inputs[] = {"picture", "volume", NULL}, *const values[] = {"display", "measured", NULL};
    static const char *const colours[] = {"grey", "rgb", NULL};
    msfl_recipe *r = p->r;
    uint32_t version = 0, input = 0, how = 0, colour = 0;
    msfl_status status = msfl_yaml_only(p->name, root, keys);
    for (size_t i = 0; i < 7 && status == MSFL_OK; i++) {
        bool needed = i == 0 || i == 2 || i == 6;
        if (needed && msfl_yaml_get(root, keys[i]) == NULL) status = no_key(p, root, "a recipe", keys[i]);
    }
    if (status != MSFL_OK) return status;
    const msfl_yaml *name = msfl_yaml_get(root, "name"), *v = msfl_yaml_get(root, "values");
    status = msfl_yaml_u32(p->name, msfl_yaml_get(root, "recipe"), "recipe", 0, UINT32_MAX, &version);
    if (status == MSFL_OK && version != MSFL_RECIPE_VERSION) {
        status = msfl_yaml_fail(p->name, root, "a recipe of version %u; this program knows version %d", version,
                                MSFL_RECIPE_VERSION);
    }
    if (status == MSFL_OK) status = msfl_yaml_choice(p->name, msfl_yaml_get(root, "input"), "input", inputs, &input);
    r->volumes = input == 1;
    how = input;
    if (status == MSFL_OK && v != NULL) status = msfl_yaml_choice(p->name, v, "values", values, &how);
    r->display = how == 0;
    if (status == MSFL_OK && r->volumes && r->display) {
        status = msfl_yaml_fail(p->name, v, "the values of volumes are taken as measured; use a step window");
    }
    v = msfl_yaml_get(root, "colour");
    if (status == MSFL_OK && v != NULL) status = msfl_yaml_choice(p->name, v, "colour", colours, &colour);
    r->rgb = colour == 1;
    v = msfl_yaml_get(root, "laterality");
    uint32_t mirrored = MSFL_MIRRORED_OTHER;
    if (status == MSFL_OK && v != NULL) {
        status = msfl_yaml_choice(p->name, v, "laterality", msfl_mirrored_words, &mirrored);
    }
    r->mirrored = (msfl_mirrored)mirrored;
    v = msfl_yaml_get(root, "sequences");
    if (status == MSFL_OK && v != NULL) status = read_sequences(p, v);
    if (status == MSFL_OK && r->rgb && (r->volumes || r->n_sequences > 0)) {
        status = msfl_yaml_fail(p->name, root, "colour: rgb goes with pictures of one file each");
    }
    if (status == MSFL_OK && name != NULL) {
        if (name->kind != MSFL_YAML_SCALAR || strlen(name->text) >= MSFL_RECIPE_NAME_BYTES || has_control(name->text)) {
            return msfl_yaml_fail(p->name, name, "the name has at most %d characters, and no control characters",
                                  MSFL_RECIPE_NAME_BYTES - 1);
        }
        memcpy(r->name, name->text, strlen(name->text) + 1);
    }
    p->is_flat = !r->volumes;
    p->low = r->display ? 0 : NAN;
    p->high = 1;
    return status;
}

static void take_hash(msfl_recipe *r, const msfl_buffer *text) {
    msfl_hash h;
    msfl_hash_init(&h, "msfl.recipe.v1");
    msfl_hash_add(&h, text->bytes, text->length);
    msfl_hash_final(&h, r->hash);
}

msfl_status msfl_recipe_parse(const char *name, const char *text, size_t length, msfl_recipe *out) {
    msfl_recipe r = {0};
    parser p = {.name = name, .r = &r};
    msfl_yaml *root = NULL;
    msfl_buffer canonical = {0};
    msfl_status status = msfl_crypto_init();
    if (status == MSFL_OK) status = msfl_yaml_parse(name, text, length, &root);
    if (status == MSFL_OK) status = read_head(&p, root);
    if (status != MSFL_OK) goto done;
    const msfl_yaml *steps = msfl_yaml_get(root, "steps");
    if (steps->kind != MSFL_YAML_SEQUENCE || steps->n == 0 || steps->n > MSFL_RECIPE_STEPS_MAX) {
        status = msfl_yaml_fail(name, steps, "steps is a list of 1 to %d steps", MSFL_RECIPE_STEPS_MAX);
    }
    for (const msfl_yaml *item = steps->first; item != NULL && status == MSFL_OK; item = item->next)
        status = read_step(&p, item);
    if (status == MSFL_OK) status = read_store(&p, msfl_yaml_get(root, "store"));
    if (status == MSFL_OK) status = finish(&p, root);
    if (status != MSFL_OK) goto done;
    msfl_recipe_text(&r, &canonical);
    status = canonical.status;
    if (status != MSFL_OK) goto done;
    take_hash(&r, &canonical);
    *out = r;
done:
    msfl_buffer_clear(&canonical);
    msfl_yaml_free(root);
    return status;
}

msfl_status msfl_recipe_read(const char *path, msfl_recipe *out) {
    uint8_t *bytes;
    size_t length;
    msfl_status status = msfl_file_read(path, MSFL_RECIPE_BYTES_MAX, &bytes, &length);
    if (status != MSFL_OK) return status;
    status = msfl_recipe_parse(path, (const char *)bytes, length, out);
    msfl_free(bytes);
    return status;
}
