/* From YAML to a recipe: its head, what is stored, and whether it all fits together. */
#include "recipe/parse.h"

#include "base/file.h"
#include "base/mem.h"

#include <math.h>
#include <string.h>

/* YAML's escapes write characters that stand nowhere in the file; names are shown, and stand in the hashed text. */
static bool has_control(const char *text) {
    for (const unsigned char *p = (const unsigned char *)text; *p != 0; p++) {
        if (*p < 0x20 || *p == 0x7f || (p[0] == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0)) return true;
    }
    return false;
}

static msfl_status read_sequences(recipe_parser *p, const msfl_yaml *node) {
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

static msfl_status read_store(recipe_parser *p, const msfl_yaml *node) {
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
            double ends[2] = {0};
            status = recipe_read_list(p, range, "range", "lowest, highest", 2, -1e30, 1e30, ends);
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

static msfl_status finish(recipe_parser *p, const msfl_yaml *root) {
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

static msfl_status read_head(recipe_parser *p, const msfl_yaml *root) {
    static const char *const keys[] = {"recipe",    "name",  "input", "values",     "colour",
                                       "sequences", "steps", "store", "laterality", NULL};
    static const char *const inputs[] = {"picture", "volume", NULL}, *const values[] = {"display", "measured", NULL};
    static const char *const colours[] = {"grey", "rgb", NULL};
    msfl_recipe *r = p->r;
    uint32_t version = 0, input = 0, how = 0, colour = 0;
    msfl_status status = msfl_yaml_only(p->name, root, keys);
    for (size_t i = 0; i < 7 && status == MSFL_OK; i++) {
        bool needed = i == 0 || i == 2 || i == 6;
        if (needed && msfl_yaml_get(root, keys[i]) == NULL) status = recipe_no_key(p, root, "a recipe", keys[i]);
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
    recipe_parser p = {.name = name, .r = &r};
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
        status = recipe_read_step(&p, item);
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
