/* Data sets in .npz files: MedMNIST's layout, and plain x and y. */
#include "base/error.h"
#include "base/mem.h"
#include "base/observe.h"
#include "dataset/labels.h"
#include "dataset/npz_pixels.h"

#include <math.h>
#include <stdio.h>

#include <string.h>

enum { ARRAYS_MAX = 3, SIDE_ARRAY_BYTES_MAX = 1 << 30 };

typedef struct load {
    msfl_dataset *set;
    const msfl_dataset_options *options;
    msfl_npz *npz;
    msfl_labels table;
    msfl_npz_images arrays[ARRAYS_MAX];
    size_t label_arrays[ARRAYS_MAX], group_arrays[ARRAYS_MAX];
    size_t n_arrays;
    bool has_label_arrays, has_group_arrays, has_masks;
    size_t mask_array;
    uint32_t n;
    msfl_texts labels, keys, classes; /* one per image; classes: the column "class" of labels.csv, or empty */
    char *label_key, *group_key;
    bool *broken;
} load;

static void load_clear(load *l) {
    msfl_npz_free(l->npz);
    msfl_labels_clear(&l->table);
    msfl_texts_clear(&l->labels);
    msfl_texts_clear(&l->keys);
    msfl_texts_clear(&l->classes);
    msfl_free(l->label_key);
    msfl_free(l->group_key);
    msfl_free(l->broken);
}

/* "x (100, 28, 28), y (100,)" for a message. */
static msfl_status list_arrays(load *l, msfl_buffer *list) {
    for (size_t i = 0; i < msfl_npz_n(l->npz) && list->length < 700; i++) {
        const msfl_npy *npy;
        char shape[200] = "(unreadable)";
        if (msfl_npz_describe(l->npz, i, &npy) == MSFL_OK) msfl_npy_shape_text(npy, shape);
        msfl_put_text(list, "%s%.60s %s", i > 0 ? ", " : "", msfl_npz_name(l->npz, i), shape);
    }
    msfl_put8(list, 0);
    return list->status;
}

static msfl_status fail_listing(load *l, const char *what) {
    msfl_buffer list = {0};
    msfl_status status = list_arrays(l, &list);
    if (status == MSFL_OK) {
        status = msfl_fail(MSFL_ERR_DATA, "%s: %s; the file holds %s", l->set->source, what,
                           list.length > 1 ? (const char *)list.bytes : "no arrays");
    }
    msfl_buffer_clear(&list);
    return status;
}

static bool find_either(const msfl_npz *npz, const char *const *names, size_t *index) {
    for (; *names != NULL; names++) {
        if (msfl_npz_find(npz, *names, index)) return true;
    }
    return false;
}

/* train_images and train_labels, and the same for val and test. */
static msfl_status find_medmnist(load *l) {
    static const struct {
        const char *prefix;
        msfl_part part;
    } parts[ARRAYS_MAX] = {{"train", MSFL_PART_TRAIN}, {"val", MSFL_PART_VALIDATION}, {"test", MSFL_PART_TEST}};
    const char *label = l->options->label != NULL ? l->options->label : "labels";
    if (strncmp(label, "train_", 6) == 0) label += 6;
    for (size_t i = 0; i < ARRAYS_MAX; i++) {
        char name[64], what[200];
        size_t at = l->n_arrays;
        snprintf(name, sizeof name, "%s_images", parts[i].prefix);
        if (!msfl_npz_find(l->npz, name, &l->arrays[at].index)) continue;
        l->arrays[at].part = parts[i].part;
        snprintf(name, sizeof name, "%s_%s", parts[i].prefix, label);
        if (!msfl_npz_find(l->npz, name, &l->label_arrays[at])) {
            snprintf(what, sizeof what, "%s_images has no array '%s' of labels", parts[i].prefix, name);
            return fail_listing(l, what);
        }
        l->n_arrays++;
    }
    l->has_label_arrays = true;
    l->label_key = msfl_format("array 'train_%s'", label);
    l->set->info.kind = "npz-medmnist";
    return l->label_key == NULL ? MSFL_ERR_MEMORY : MSFL_OK;
}

static msfl_status find_plain(load *l) {
    static const char *const images[] = {"x", "X", "images", NULL};
    static const char *const labels[] = {"y", "Y", "labels", NULL};
    static const char *const masks[] = {"masks", "mask", NULL};
    if (!find_either(l->npz, images, &l->arrays[0].index)) {
        return fail_listing(l, "neither the arrays 'x' and 'y' nor 'train_images' and 'train_labels' are there");
    }
    l->n_arrays = 1;
    l->set->info.kind = "npz";
    l->has_masks = find_either(l->npz, masks, &l->mask_array);
    l->has_group_arrays = msfl_npz_find(l->npz, "group", &l->group_arrays[0]);
    l->has_label_arrays = l->options->label != NULL ? msfl_npz_find(l->npz, l->options->label, &l->label_arrays[0])
                                                    : find_either(l->npz, labels, &l->label_arrays[0]);
    if (!l->has_label_arrays) return MSFL_OK;
    l->label_key = msfl_format("array '%.100s'", msfl_npz_name(l->npz, l->label_arrays[0]));
    return l->label_key == NULL ? MSFL_ERR_MEMORY : MSFL_OK;
}

/* The pictures of all arrays are of one size; sets the size of the data set. */
static msfl_status describe_images(load *l) {
    uint32_t height = 0, width = 0, channels = 0;
    for (size_t i = 0; i < l->n_arrays; i++) {
        msfl_npz_images *a = &l->arrays[i];
        const char *name = msfl_npz_name(l->npz, a->index);
        msfl_status status = msfl_npz_describe(l->npz, a->index, &a->npy);
        if (status != MSFL_OK) return status;
        uint32_t h, w, c;
        status = msfl_npz_picture(name, a->npy, &h, &w, &c);
        if (status != MSFL_OK) return msfl_fail_in(status, "%s", l->set->source);
        if (i > 0 && (h != height || w != width || c != channels)) {
            return fail_listing(l, "the images of its parts differ in size");
        }
        height = h;
        width = w;
        channels = c;
        a->first = l->n;
        a->n = (uint32_t)a->npy->dims[0];
        l->n += a->n;
    }
    msfl_dataset_info *info = &l->set->info;
    info->height = l->options->height != 0 ? l->options->height : height;
    info->width = l->options->width != 0 ? l->options->width : width;
    info->channels = l->options->channels != 0 ? l->options->channels : channels == 4 ? 3 : channels;
    return MSFL_OK;
}

/* One text per image out of an array of as many items. */
static msfl_status read_side_array(load *l, size_t index, const msfl_npz_images *images, msfl_texts *out) {
    const char *name = msfl_npz_name(l->npz, index);
    const msfl_npy *npy;
    char shape[200];
    msfl_status status = msfl_npz_describe(l->npz, index, &npy);
    if (status != MSFL_OK) return status;
    msfl_npy_shape_text(npy, shape);
    if (npy->n_dims == 2 && npy->dims[1] > 1 && npy->dims[0] == images->n) {
        return msfl_fail(MSFL_ERR_UNSUPPORTED,
                         "%s: array '%s' has shape %s, several labels an image; choose or store an array with one",
                         l->set->source, name, shape);
    }
    bool one_each = npy->n_dims == 1 || (npy->n_dims == 2 && npy->dims[1] == 1);
    if (!one_each || npy->n_items != images->n) {
        return msfl_fail(MSFL_ERR_DATA, "%s: array '%s' has shape %s, but there are %u images in '%s'", l->set->source,
                         name, shape, images->n, msfl_npz_name(l->npz, images->index));
    }
    uint8_t *bytes;
    status = msfl_npz_data(l->npz, index, SIDE_ARRAY_BYTES_MAX, &bytes);
    for (size_t i = 0; status == MSFL_OK && i < images->n; i++) {
        const uint8_t *p = bytes + i * npy->item_bytes;
        if (npy->kind == 'f') {
            double v = msfl_npy_number(npy, p);
            if (!(v == floor(v)) || fabs(v) > 0x1p53) {
                status =
                    msfl_fail(MSFL_ERR_DATA, "%s: array '%s' holds %g at %zu; classes and groups are whole numbers",
                              l->set->source, name, v, i);
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

static msfl_status read_table(load *l) {
    const char *slash = strrchr(l->set->source, '/');
    char *folder =
        slash == NULL ? msfl_strdup(".") : msfl_strndup(l->set->source, (size_t)(slash - l->set->source) + 1);
    if (folder == NULL) return MSFL_ERR_MEMORY;
    msfl_status status = msfl_labels_open(folder, false, &l->table);
    msfl_free(folder);
    if (status == MSFL_OK) status = msfl_labels_match_index(&l->table, l->n);
    if (status == MSFL_OK && l->table.table != NULL && l->table.n_matched == 0) {
        msfl_observe_text(l->options->observer, MSFL_EVENT_INFO, "data",
                          "%s describes other images than %s and is not used (no column 'index' from 0 to %u)",
                          l->table.path, l->set->source, l->n - 1);
    }
    return status;
}

static msfl_status read_labels(load *l) {
    msfl_status status = MSFL_OK;
    for (size_t i = 0; l->has_label_arrays && i < l->n_arrays && status == MSFL_OK; i++)
        status = read_side_array(l, l->label_arrays[i], &l->arrays[i], &l->labels);
    if (status != MSFL_OK) return status;
    if (!l->has_label_arrays) {
        uint32_t column;
        if (l->options->label == NULL && l->has_masks)
            return msfl_npz_mask_labels(l->set, l->n, &l->labels, &l->label_key);
        if (l->options->label == NULL) return fail_listing(l, "there is no array 'y' of labels; name one with --label");
        status = msfl_labels_column(&l->table, l->set->source, l->options->label, &column);
        if (status == MSFL_ERR_DATA) {
            msfl_buffer list = {0};
            char why[1024]; /* looking at the arrays may fail in its own words */
            snprintf(why, sizeof why, "%s", msfl_error_message());
            status = list_arrays(l, &list);
            if (status == MSFL_OK) {
                msfl_error_set(why);
                status = msfl_fail_in(MSFL_ERR_DATA, "no array '%.100s' among %s, and no such column",
                                      l->options->label, (const char *)list.bytes);
            }
            msfl_buffer_clear(&list);
        }
        if (status == MSFL_OK) status = msfl_labels_take(&l->table, column, &l->labels);
        if (status != MSFL_OK) return status;
        l->label_key = msfl_labels_describe(&l->table, column);
        return l->label_key == NULL ? MSFL_ERR_MEMORY : MSFL_OK;
    }
    if (l->table.n_matched == 0) return MSFL_OK;
    uint32_t column = msfl_csv_find(l->table.table, "class");
    return column < msfl_csv_columns(l->table.table) ? msfl_labels_take(&l->table, column, &l->classes) : MSFL_OK;
}

static msfl_status read_keys(load *l) {
    msfl_status status = MSFL_OK;
    if (l->has_group_arrays) {
        l->group_key = msfl_strdup("array 'group'");
        if (l->group_key == NULL) return MSFL_ERR_MEMORY;
        return read_side_array(l, l->group_arrays[0], &l->arrays[0], &l->keys);
    }
    if (l->table.n_matched > 0 && l->table.patient != MSFL_NO_ROW) {
        l->group_key = msfl_labels_describe(&l->table, l->table.patient);
        if (l->group_key == NULL) return MSFL_ERR_MEMORY;
        return msfl_labels_take(&l->table, l->table.patient, &l->keys);
    }
    for (size_t i = 0; i < l->n && status == MSFL_OK; i++)
        status = msfl_texts_add(&l->keys, "", 0);
    return status;
}

static msfl_status skip_broken(load *l) {
    msfl_status status = MSFL_OK;
    for (uint32_t i = 0; i < l->n && status == MSFL_OK; i++) {
        const char *name = msfl_texts_get(&l->set->names, i);
        if (msfl_texts_get(&l->labels, i)[0] == 0) {
            status = msfl_fail(MSFL_ERR_DATA, "%s: no value for '%s'", name, l->label_key);
        } else if (l->broken[i]) {
            status = msfl_fail(MSFL_ERR_DATA, "%s: a value that is not a finite number", name);
        } else {
            continue;
        }
        l->broken[i] = true;
        status = msfl_set_skip(l->set, l->options, status);
    }
    return status;
}

static msfl_status read_pixels(load *l) {
    msfl_dataset *set = l->set;
    msfl_pixel_map map;
    msfl_status status =
        msfl_npz_pixel_map(l->npz, l->arrays, l->n_arrays, l->options->observer, &map, &set->conversion);
    if (status != MSFL_OK) return status;
    set->info.bits = map.bits;
    status = msfl_set_allocate(set, l->n);
    if (status != MSFL_OK) return status;
    l->broken = msfl_alloc(l->n, sizeof *l->broken);
    if (l->broken == NULL) return MSFL_ERR_MEMORY;
    msfl_pool *pool;
    status = msfl_pool_new(l->options->n_threads, &pool);
    if (status != MSFL_OK) return status;
    msfl_progress progress;
    msfl_progress_init(&progress, l->options->observer, "reading arrays", l->n);
    for (size_t i = 0; i < l->n_arrays && status == MSFL_OK; i++) {
        const msfl_npz_images *a = &l->arrays[i];
        for (uint32_t j = 0; j < a->n && status == MSFL_OK; j++) {
            uint32_t channels = a->npy->n_dims == 4 ? (uint32_t)a->npy->dims[3] : 1;
            set->origins[a->first + j] = (msfl_origin){(uint32_t)a->npy->dims[2],
                                                       (uint32_t)a->npy->dims[1],
                                                       channels,
                                                       8 * a->npy->item_bytes,
                                                       a->part,
                                                       "array"};
            status = msfl_texts_add_format(&set->names, "%.100s[%u]", msfl_npz_name(l->npz, a->index), j);
        }
        if (status == MSFL_OK) status = msfl_npz_pixels(set, l->npz, a, &map, pool, &progress, l->broken);
    }
    msfl_progress_clear(&progress);
    msfl_pool_free(pool);
    return status;
}

/* Put the names of labels.csv in place of "0", "1", ... when each number has exactly one of them and the other way
 * round; otherwise the table speaks of other labels. */
static msfl_status name_classes(load *l) {
    msfl_dataset *set = l->set;
    if (l->classes.n != set->info.n_images) return MSFL_OK;
    uint32_t n_classes = set->info.n_classes, n_names = 0;
    int64_t number;
    for (uint32_t i = 0; i < n_classes; i++) {
        if (!msfl_whole_number(msfl_texts_get(&set->class_names, i), &number)) return MSFL_OK;
    }
    msfl_texts names = {0}, renamed = {0};
    uint32_t *codes = msfl_alloc(l->classes.n, sizeof *codes);
    uint32_t *name_of = msfl_alloc(n_classes, sizeof *name_of);
    msfl_status status = MSFL_ERR_MEMORY;
    if (codes == NULL || name_of == NULL) goto done;
    status = msfl_texts_code(&l->classes, MSFL_CODE_KEYS, codes, &names, &n_names);
    if (status != MSFL_OK || n_names != n_classes || names.n != n_classes) goto done;
    for (uint32_t i = 0; i < n_classes; i++)
        name_of[i] = UINT32_MAX;
    for (uint32_t i = 0; i < set->info.n_images; i++) {
        uint32_t *name = &name_of[set->labels[i]];
        if (*name == UINT32_MAX) *name = codes[i];
        if (*name != codes[i]) goto done;
    }
    for (uint32_t i = 0; i < n_classes && status == MSFL_OK; i++) {
        for (uint32_t j = 0; j < i; j++) {
            if (name_of[i] == name_of[j]) goto done;
        }
        const char *name = msfl_texts_get(&names, name_of[i]);
        status = msfl_texts_add(&renamed, name, strlen(name));
    }
    if (status != MSFL_OK) goto done;
    msfl_texts_clear(&set->class_names);
    set->class_names = renamed;
    renamed = (msfl_texts){0};
done:
    msfl_texts_clear(&names);
    msfl_texts_clear(&renamed);
    msfl_free(codes);
    msfl_free(name_of);
    return status;
}

msfl_status msfl_set_load_npz(msfl_dataset *set, const msfl_dataset_options *options) {
    load l = {.set = set, .options = options};
    size_t index;
    msfl_status status = msfl_npz_open(set->source, &l.npz);
    if (status == MSFL_ERR_FORMAT) {
        status = msfl_fail_in(status, "neither a folder of images nor a .npz file");
    }
    if (status != MSFL_OK) goto done;
    bool medmnist = msfl_npz_find(l.npz, "train_images", &index) || msfl_npz_find(l.npz, "test_images", &index);
    status = medmnist ? find_medmnist(&l) : find_plain(&l);
    if (status == MSFL_OK) status = describe_images(&l);
    if (status == MSFL_OK) status = read_table(&l);
    if (status == MSFL_OK && l.has_masks) status = msfl_npz_masks(set, l.npz, l.mask_array, &l.arrays[0]);
    if (status == MSFL_OK) status = read_labels(&l);
    if (status == MSFL_OK) status = read_keys(&l);
    if (status == MSFL_OK) status = read_pixels(&l);
    if (status == MSFL_OK) status = skip_broken(&l);
    if (status != MSFL_OK) goto done;
    msfl_texts *lists[] = {&l.labels, &l.keys, &l.classes};
    status = msfl_set_compact(set, l.broken, lists, 3);
    if (status != MSFL_OK) goto done;
    status = msfl_set_finish(set, &l.labels, &l.keys, l.label_key, l.group_key);
    l.label_key = l.group_key = NULL;
    if (status == MSFL_OK) status = name_classes(&l);
done:
    load_clear(&l);
    return status;
}
