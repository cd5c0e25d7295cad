/* What stands beside the images in an .npz file. */
#include "dataset/npz_index.h"

#include "base/bytes.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/observe.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { SIDE_ARRAY_BYTES_MAX = 1 << 30 };

void msfl_npz_index_clear(msfl_npz_index *ix) {
    msfl_npz_free(ix->npz);
    msfl_labels_clear(&ix->table);
    msfl_texts_clear(&ix->labels);
    msfl_texts_clear(&ix->keys);
    msfl_texts_clear(&ix->classes);
    msfl_free(ix->label_key);
    msfl_free(ix->group_key);
    *ix = (msfl_npz_index){0};
}

/* "x (100, 28, 28), y (100,)" for a message. */
static msfl_status list_arrays(const msfl_npz_index *ix, msfl_buffer *list) {
    for (size_t i = 0; i < msfl_npz_n(ix->npz) && list->length < 700; i++) {
        const msfl_npy *npy;
        char shape[200] = "(unreadable)";
        if (msfl_npz_describe(ix->npz, i, &npy) == MSFL_OK) msfl_npy_shape_text(npy, shape);
        msfl_put_text(list, "%s%.60s %s", i > 0 ? ", " : "", msfl_npz_name(ix->npz, i), shape);
    }
    msfl_put8(list, 0);
    return list->status;
}

msfl_status msfl_npz_index_fail(const msfl_npz_index *ix, const char *what) {
    msfl_buffer list = {0};
    msfl_status status = list_arrays(ix, &list);
    if (status == MSFL_OK) {
        status = msfl_fail(MSFL_ERR_DATA, "%s: %s; the file holds %s", ix->source, what,
                           list.length > 1 ? (const char *)list.bytes : "no arrays");
    }
    msfl_buffer_clear(&list);
    return status;
}

static msfl_status no_array(const msfl_npz_index *ix, const char *name, const char *option) {
    char what[200];
    snprintf(what, sizeof what, "no array '%.60s', which %s names", name, option);
    return msfl_npz_index_fail(ix, what);
}

static bool find_either(const msfl_npz *npz, const char *const *names, size_t *index) {
    for (; *names != NULL; names++) {
        if (msfl_npz_find(npz, *names, index)) return true;
    }
    return false;
}

/* "train_KEY" beside train_images; KEY may be given with its prefix. */
static bool find_part(const msfl_npz *npz, const char *prefix, const char *key, size_t *index) {
    char name[128];
    if (strncmp(key, "train_", 6) == 0) key += 6;
    snprintf(name, sizeof name, "%s_%.100s", prefix, key);
    return msfl_npz_find(npz, name, index);
}

/* train_images and train_labels, and the same for val and test. */
static msfl_status find_medmnist(msfl_npz_index *ix) {
    static const struct {
        const char *prefix;
        msfl_part part;
    } parts[MSFL_NPZ_PARTS_MAX] = {{"train", MSFL_PART_TRAIN}, {"val", MSFL_PART_VALIDATION}, {"test", MSFL_PART_TEST}};
    const msfl_dataset_options *o = ix->options;
    const char *label = o->label != NULL ? o->label : "labels";
    if (strncmp(label, "train_", 6) == 0) label += 6;
    ix->has_masks = o->masks != NULL;
    ix->has_group_arrays = o->patient != NULL;
    for (size_t i = 0; i < MSFL_NPZ_PARTS_MAX; i++) {
        const char *prefix = parts[i].prefix;
        char what[200];
        size_t at = ix->n_arrays;
        if (!find_part(ix->npz, prefix, "images", &ix->arrays[at].index)) continue;
        ix->arrays[at].part = parts[i].part;
        if (!find_part(ix->npz, prefix, label, &ix->label_arrays[at])) {
            snprintf(what, sizeof what, "%s_images has no array '%s_%.60s' of labels", prefix, prefix, label);
            return msfl_npz_index_fail(ix, what);
        }
        if (o->masks != NULL && !find_part(ix->npz, prefix, o->masks, &ix->mask_arrays[at])) {
            return no_array(ix, o->masks, "--masks");
        }
        ix->has_group_arrays =
            ix->has_group_arrays && o->patient != NULL && find_part(ix->npz, prefix, o->patient, &ix->group_arrays[at]);
        ix->n_arrays++;
    }
    ix->has_label_arrays = true;
    ix->label_key = msfl_format("array 'train_%s'", label);
    ix->kind = "npz-medmnist";
    return ix->label_key == NULL ? MSFL_ERR_MEMORY : MSFL_OK;
}

static msfl_status find_plain(msfl_npz_index *ix, const char *name) {
    static const char *const images[] = {"x", "X", "images", NULL};
    static const char *const labels[] = {"y", "Y", "labels", NULL};
    static const char *const masks[] = {"masks", "mask", NULL};
    const msfl_dataset_options *o = ix->options;
    if (name != NULL && !msfl_npz_find(ix->npz, name, &ix->arrays[0].index)) {
        return no_array(ix, name, "the recipe");
    }
    if (name == NULL && !find_either(ix->npz, images, &ix->arrays[0].index)) {
        return msfl_npz_index_fail(ix,
                                   "neither the arrays 'x' and 'y' nor 'train_images' and 'train_labels' are there");
    }
    ix->n_arrays = 1;
    ix->kind = "npz";
    ix->has_masks = o->masks != NULL ? msfl_npz_find(ix->npz, o->masks, &ix->mask_arrays[0])
                                     : find_either(ix->npz, masks, &ix->mask_arrays[0]);
    if (o->masks != NULL && !ix->has_masks) return no_array(ix, o->masks, "--masks");
    if (o->masks != NULL && ix->mask_arrays[0] == ix->arrays[0].index) {
        return msfl_fail(MSFL_ERR_DATA, "%s: array '%s' is named as its own mask", ix->source, o->masks);
    }
    ix->has_group_arrays = msfl_npz_find(ix->npz, o->patient != NULL ? o->patient : "group", &ix->group_arrays[0]);
    ix->has_label_arrays = o->label != NULL ? msfl_npz_find(ix->npz, o->label, &ix->label_arrays[0])
                                            : find_either(ix->npz, labels, &ix->label_arrays[0]);
    if (!ix->has_label_arrays) return MSFL_OK;
    ix->label_key = msfl_format("array '%.100s'", msfl_npz_name(ix->npz, ix->label_arrays[0]));
    return ix->label_key == NULL ? MSFL_ERR_MEMORY : MSFL_OK;
}

msfl_status msfl_npz_index_open(msfl_npz_index *ix, const char *images) {
    size_t index;
    msfl_status status = msfl_npz_open(ix->source, &ix->npz);
    if (status == MSFL_ERR_FORMAT) {
        status = msfl_fail_in(status, "neither a folder of images nor a whole .npz file (cut short on its way?)");
    }
    if (status != MSFL_OK) return status;
    bool medmnist = images == NULL &&
                    (msfl_npz_find(ix->npz, "train_images", &index) || msfl_npz_find(ix->npz, "test_images", &index));
    return medmnist ? find_medmnist(ix) : find_plain(ix, images);
}

/* One text per image out of an array of as many items. */
static msfl_status read_side_array(const msfl_npz_index *ix, size_t index, const msfl_npz_images *images,
                                   msfl_texts *out) {
    const char *name = msfl_npz_name(ix->npz, index);
    const msfl_npy *npy;
    char shape[200];
    msfl_status status = msfl_npz_describe(ix->npz, index, &npy);
    if (status != MSFL_OK) return status;
    msfl_npy_shape_text(npy, shape);
    if (npy->n_dims == 2 && npy->dims[1] > 1 && npy->dims[0] == images->n) {
        return msfl_fail(MSFL_ERR_UNSUPPORTED,
                         "%s: array '%s' has shape %s, several labels an image; choose or store an array with one",
                         ix->source, name, shape);
    }
    bool one_each = npy->n_dims == 1 || (npy->n_dims == 2 && npy->dims[1] == 1);
    if (!one_each || npy->n_items != images->n) {
        return msfl_fail(MSFL_ERR_DATA, "%s: array '%s' has shape %s, but there are %u images in '%s'", ix->source,
                         name, shape, images->n, msfl_npz_name(ix->npz, images->index));
    }
    uint8_t *bytes;
    status = msfl_npz_data(ix->npz, index, SIDE_ARRAY_BYTES_MAX, &bytes);
    for (size_t i = 0; status == MSFL_OK && i < images->n; i++) {
        const uint8_t *p = bytes + i * npy->item_bytes;
        if (npy->kind == 'f') {
            double v = msfl_npy_number(npy, p);
            if (!(v == floor(v)) || fabs(v) > 0x1p53) {
                status =
                    msfl_fail(MSFL_ERR_DATA, "%s: array '%s' holds %g at %zu; classes and groups are whole numbers",
                              ix->source, name, v, i);
                break;
            }
        }
        char text[MSFL_NPY_TEXT_BYTES];
        msfl_npy_text(npy, p, text);
        status = msfl_texts_add(out, text, strlen(text));
    }
    msfl_free(bytes);
    return status;
}

static msfl_status read_table(msfl_npz_index *ix) {
    const char *given = ix->options->labels, *slash = strrchr(ix->source, '/');
    msfl_status status;
    if (given != NULL) {
        status = msfl_labels_read(given, &ix->table);
    } else {
        char *folder = slash == NULL ? msfl_strdup(".") : msfl_strndup(ix->source, (size_t)(slash - ix->source) + 1);
        status = folder == NULL ? MSFL_ERR_MEMORY : msfl_labels_open(folder, false, &ix->table);
        msfl_free(folder);
    }
    if (status == MSFL_OK) status = msfl_labels_match_index(&ix->table, ix->n);
    if (status != MSFL_OK || ix->table.table == NULL || ix->table.n_matched > 0) return status;
    if (given != NULL) {
        return msfl_fail(MSFL_ERR_DATA, "%s describes other images than %s: it has no column 'index' from 0 to %u",
                         given, ix->source, ix->n - 1);
    }
    msfl_observe_text(ix->options->observer, MSFL_EVENT_INFO, "data",
                      "%s describes other images than %s and is not used (no column 'index' from 0 to %u)",
                      ix->table.path, ix->source, ix->n - 1);
    return MSFL_OK;
}

/* A name that is neither an array's nor a column's. */
static msfl_status no_such(msfl_npz_index *ix, const char *name, msfl_status status) {
    msfl_buffer list = {0};
    char why[1024]; /* looking at the arrays may fail in its own words */
    if (status != MSFL_ERR_DATA) return status;
    snprintf(why, sizeof why, "%s", msfl_error_message());
    status = list_arrays(ix, &list);
    if (status == MSFL_OK) {
        msfl_error_set(why);
        status = msfl_fail_in(MSFL_ERR_DATA, "no array '%.100s' among %s, and no such column", name,
                              (const char *)list.bytes);
    }
    msfl_buffer_clear(&list);
    return status;
}

static msfl_status all_of_one_class(msfl_npz_index *ix) {
    msfl_status status = MSFL_OK;
    for (uint32_t i = 0; i < ix->n && status == MSFL_OK; i++)
        status = msfl_texts_add(&ix->labels, "all", 3);
    ix->label_key = msfl_strdup("masks alone");
    return status == MSFL_OK && ix->label_key == NULL ? MSFL_ERR_MEMORY : status;
}

static msfl_status read_labels(msfl_npz_index *ix, const msfl_dataset *set) {
    const char *name = ix->options->label;
    msfl_status status = MSFL_OK;
    for (size_t i = 0; ix->has_label_arrays && i < ix->n_arrays && status == MSFL_OK; i++)
        status = read_side_array(ix, ix->label_arrays[i], &ix->arrays[i], &ix->labels);
    if (status != MSFL_OK) return status;
    if (!ix->has_label_arrays) {
        uint32_t column;
        if (name == NULL && ix->has_masks && set != NULL) {
            return msfl_npz_mask_labels(set, ix->n, &ix->labels, &ix->label_key);
        }
        if (name == NULL && ix->options->masks != NULL) return all_of_one_class(ix);
        if (name == NULL) {
            return msfl_npz_index_fail(ix, "there is no array 'y' of labels; name one with --label");
        }
        status = msfl_labels_column(&ix->table, ix->source, name, &column);
        if (status != MSFL_OK) return no_such(ix, name, status);
        status = msfl_labels_take(&ix->table, column, &ix->labels);
        if (status != MSFL_OK) return status;
        ix->label_key = msfl_labels_describe(&ix->table, column);
        return ix->label_key == NULL ? MSFL_ERR_MEMORY : MSFL_OK;
    }
    if (ix->table.n_matched == 0) return MSFL_OK;
    uint32_t column = msfl_csv_find(ix->table.table, "class");
    return column < msfl_csv_columns(ix->table.table) ? msfl_labels_take(&ix->table, column, &ix->classes) : MSFL_OK;
}

static msfl_status read_keys(msfl_npz_index *ix) {
    const char *name = ix->options->patient;
    msfl_status status = MSFL_OK;
    if (ix->has_group_arrays) {
        ix->group_key = msfl_format("array '%.100s'", msfl_npz_name(ix->npz, ix->group_arrays[0]));
        if (ix->group_key == NULL) return MSFL_ERR_MEMORY;
        for (size_t i = 0; i < ix->n_arrays && status == MSFL_OK; i++)
            status = read_side_array(ix, ix->group_arrays[i], &ix->arrays[i], &ix->keys);
        return status;
    }
    uint32_t column = ix->table.n_matched > 0 ? ix->table.patient : MSFL_NO_ROW;
    if (name != NULL) {
        status = msfl_labels_column(&ix->table, ix->source, name, &column);
        if (status != MSFL_OK) return no_such(ix, name, status);
    }
    if (column != MSFL_NO_ROW) {
        ix->group_key = msfl_labels_describe(&ix->table, column);
        if (ix->group_key == NULL) return MSFL_ERR_MEMORY;
        return msfl_labels_take(&ix->table, column, &ix->keys);
    }
    for (size_t i = 0; i < ix->n && status == MSFL_OK; i++)
        status = msfl_texts_add(&ix->keys, "", 0);
    return status;
}

msfl_status msfl_npz_index_texts(msfl_npz_index *ix, const msfl_dataset *set) {
    msfl_status status = read_table(ix);
    if (status == MSFL_OK) status = read_labels(ix, set);
    if (status == MSFL_OK) status = read_keys(ix);
    return status;
}

/* Whether codes a and b go one to one; name_of[a] is the b of each. */
static bool one_to_one(const uint32_t *a, const uint32_t *b, size_t n, uint32_t n_codes, uint32_t *name_of,
                       uint32_t *back) {
    for (uint32_t i = 0; i < n_codes; i++)
        name_of[i] = back[i] = UINT32_MAX;
    for (size_t i = 0; i < n; i++) {
        if (name_of[a[i]] == UINT32_MAX) name_of[a[i]] = b[i];
        if (back[b[i]] == UINT32_MAX) back[b[i]] = a[i];
        if (name_of[a[i]] != b[i] || back[b[i]] != a[i]) return false;
    }
    return true;
}

msfl_status msfl_npz_index_names(msfl_npz_index *ix) {
    int64_t number;
    if (ix->classes.n != ix->n || ix->labels.n != ix->n) return MSFL_OK;
    for (uint32_t i = 0; i < ix->n; i++)
        if (!msfl_whole_number(msfl_texts_get(&ix->labels, i), &number)) return MSFL_OK;
    msfl_texts labels = {0}, names = {0}, renamed = {0};
    uint32_t n_labels = 0, n_names = 0, *codes = msfl_alloc(ix->n, 4 * sizeof *codes);
    if (codes == NULL) return MSFL_ERR_MEMORY;
    uint32_t *named = codes + ix->n;
    msfl_status status = msfl_texts_code(&ix->labels, MSFL_CODE_KEYS, codes, &labels, &n_labels);
    if (status == MSFL_OK) status = msfl_texts_code(&ix->classes, MSFL_CODE_KEYS, named, &names, &n_names);
    bool fits = status == MSFL_OK && n_labels == n_names && names.n == n_names &&
                one_to_one(codes, named, ix->n, n_labels, named + ix->n, named + 2 * (size_t)ix->n);
    for (uint32_t i = 0; i < ix->n && fits && status == MSFL_OK; i++) {
        const char *name = msfl_texts_get(&ix->classes, i);
        status = msfl_texts_add(&renamed, name, strlen(name));
    }
    if (fits && status == MSFL_OK) {
        msfl_texts_clear(&ix->labels);
        ix->labels = renamed;
        renamed = (msfl_texts){0};
    }
    msfl_texts_clear(&labels);
    msfl_texts_clear(&names);
    msfl_texts_clear(&renamed);
    msfl_free(codes);
    return status;
}
