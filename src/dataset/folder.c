/* Data sets in folders of PNG, JPEG, DICOM and NIfTI files. */
#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/observe.h"
#include "base/threads.h"
#include "dataset/folder_scan.h"
#include "dataset/labels.h"
#include "dataset/set.h"
#include "image/decode.h"

#include <stdlib.h>
#include <string.h>

typedef struct load {
    msfl_dataset *set;
    const msfl_dataset_options *options;
    msfl_scan scan;
    msfl_labels table;
    msfl_texts labels, keys;
    char *label_key, *group_key;
    msfl_pool *pool;
    msfl_progress progress;
    msfl_image_header *headers;
    bool *broken;
    char **reasons; /* message of the failing call for each broken file */
    msfl_status *statuses;
} load;

static void load_clear(load *l) {
    size_t n = l->scan.paths.n;
    for (size_t i = 0; l->reasons != NULL && i < n; i++)
        msfl_free(l->reasons[i]);
    msfl_free(l->reasons);
    msfl_free(l->statuses);
    msfl_free(l->headers);
    msfl_free(l->broken);
    msfl_free(l->label_key);
    msfl_free(l->group_key);
    msfl_texts_clear(&l->labels);
    msfl_texts_clear(&l->keys);
    msfl_labels_clear(&l->table);
    msfl_scan_clear(&l->scan);
    msfl_pool_free(l->pool);
}

static msfl_status find_files(load *l) {
    msfl_status status = msfl_scan_folder(l->set->source, l->options->observer, &l->scan);
    if (status != MSFL_OK) return status;
    l->set->info.kind = "folder";
    l->set->info.n_ignored = l->scan.n_ignored;
    if (l->scan.paths.n == 0) return msfl_scan_fail_empty(&l->scan, l->set->source);
    msfl_scan_warn_of_masks(&l->scan, l->options->observer);
    return MSFL_OK;
}

static msfl_status read_table(load *l) {
    msfl_status status = msfl_labels_open(l->scan.root, true, &l->table);
    if (status == MSFL_OK) status = msfl_labels_match_paths(&l->table, &l->scan.paths);
    if (status == MSFL_OK && l->table.table != NULL && l->table.n_matched == 0) {
        msfl_observe_text(l->options->observer, MSFL_EVENT_INFO, "data",
                          "%s is not used: no column of it names the files in %s", l->table.path, l->scan.root);
    }
    return status;
}

static msfl_status take_column(load *l, uint32_t column, char **key, msfl_texts *out) {
    *key = msfl_labels_describe(&l->table, column);
    return *key == NULL ? MSFL_ERR_MEMORY : msfl_labels_take(&l->table, column, out);
}

static msfl_status read_labels(load *l) {
    const char *name = l->options->label;
    /* An archive's folders are no classes, where a table tells them. */
    bool by_table = msfl_labels_tell_classes(&l->table) && msfl_scan_has_one_class(&l->scan);
    if (name == NULL && !l->scan.flat && !by_table) {
        l->label_key = msfl_strdup("folder names");
        l->labels = l->scan.classes;
        l->scan.classes = (msfl_texts){0};
        return l->label_key == NULL ? MSFL_ERR_MEMORY : MSFL_OK;
    }
    if (name == NULL) {
        name = "class";
        if (l->table.n_matched == 0) {
            return msfl_fail(
                MSFL_ERR_DATA,
                "%s: %zu pictures, but no folders that tell their classes: put them into one folder for each "
                "class, or add a labels.csv with a column of file names and a column 'class'",
                l->set->source, l->scan.paths.n);
        }
    }
    uint32_t column;
    msfl_status status = msfl_labels_column(&l->table, l->set->source, name, &column);
    return status == MSFL_OK ? take_column(l, column, &l->label_key, &l->labels) : status;
}

static msfl_status read_keys(load *l) {
    if (l->table.n_matched > 0 && l->table.patient != MSFL_NO_ROW) {
        return take_column(l, l->table.patient, &l->group_key, &l->keys);
    }
    msfl_status status = MSFL_OK;
    for (size_t i = 0; i < l->scan.paths.n && status == MSFL_OK; i++)
        status = msfl_texts_add(&l->keys, "", 0);
    return status;
}

/* Runs on a worker: keeps the reason why a file is broken. Only what concerns the whole load is handed on. */
static msfl_status note(load *l, size_t i, msfl_status status) {
    if (status == MSFL_OK || status == MSFL_ERR_MEMORY || status == MSFL_ERR_CANCELLED) return status;
    l->statuses[i] = status;
    l->reasons[i] = msfl_strdup(msfl_error_message());
    l->broken[i] = true;
    return l->reasons[i] == NULL ? MSFL_ERR_MEMORY : MSFL_OK;
}

static msfl_status probe_one(void *ctx, size_t i) {
    load *l = ctx;
    msfl_status status = msfl_progress_step(&l->progress, 1);
    if (status != MSFL_OK) return status;
    if (msfl_texts_get(&l->labels, i)[0] == 0) {
        status = msfl_fail(MSFL_ERR_DATA, "%s: no value for '%s'", msfl_texts_get(&l->scan.paths, i), l->label_key);
        return note(l, i, status);
    }
    char *path = msfl_path_join(l->scan.root, msfl_texts_get(&l->scan.paths, i));
    if (path == NULL) return MSFL_ERR_MEMORY;
    status = note(l, i, msfl_image_probe(path, &l->headers[i]));
    msfl_free(path);
    return status;
}

static msfl_status decode_one(void *ctx, size_t i) {
    load *l = ctx;
    const msfl_dataset_info *info = &l->set->info;
    msfl_status status = msfl_progress_step(&l->progress, 1);
    if (status != MSFL_OK || l->broken[i]) return status;
    msfl_image image = {0};
    char *path = msfl_path_join(l->scan.root, msfl_texts_get(&l->scan.paths, i));
    if (path == NULL) return MSFL_ERR_MEMORY;
    status = msfl_image_read(path, &image);
    if (status == MSFL_OK) {
        status =
            msfl_image_fit(&image, info->width, info->height, info->channels, info->bits, msfl_set_samples(l->set, i));
    }
    msfl_image_clear(&image);
    msfl_free(path);
    return note(l, i, status);
}

static msfl_status probe_all(load *l) {
    size_t n = l->scan.paths.n;
    l->headers = msfl_alloc(n, sizeof *l->headers);
    l->broken = msfl_alloc(n, sizeof *l->broken);
    l->reasons = msfl_alloc(n, sizeof *l->reasons);
    l->statuses = msfl_alloc(n, sizeof *l->statuses);
    if (l->headers == NULL || l->broken == NULL || l->reasons == NULL || l->statuses == NULL) return MSFL_ERR_MEMORY;
    msfl_progress_init(&l->progress, l->options->observer, "examining images", n);
    msfl_status status = msfl_pool_run(l->pool, n, probe_one, l);
    msfl_progress_clear(&l->progress);
    return status;
}

static int by_value(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* Size and channels that most images have (of equally common sizes the larger), and the depth of the deepest. */
static msfl_status choose_size(load *l) {
    msfl_dataset_info *info = &l->set->info;
    size_t n = 0, grey = 0, longest = 0, run = 0;
    uint64_t *sizes = msfl_alloc(l->scan.paths.n, sizeof *sizes);
    if (sizes == NULL) return MSFL_ERR_MEMORY;
    info->bits = 8;
    for (size_t i = 0; i < l->scan.paths.n; i++) {
        if (l->broken[i]) continue;
        const msfl_image_header *h = &l->headers[i];
        sizes[n++] = (uint64_t)h->width << 32 | h->height;
        grey += h->channels == 1;
        if (h->bits > info->bits) info->bits = h->bits;
    }
    qsort(sizes, n, sizeof *sizes, by_value);
    uint64_t best = (uint64_t)1 << 32 | 1;
    for (size_t i = 0; i < n; i++) {
        run = i > 0 && sizes[i] == sizes[i - 1] ? run + 1 : 1;
        if (run >= longest) {
            longest = run;
            best = sizes[i];
        }
    }
    msfl_free(sizes);
    info->width = l->options->width != 0 ? l->options->width : (uint32_t)(best >> 32);
    info->height = l->options->height != 0 ? l->options->height : (uint32_t)best;
    info->channels = l->options->channels != 0 ? l->options->channels : 2 * grey >= n ? 1 : 3;
    return MSFL_OK;
}

static msfl_status decode_all(load *l) {
    msfl_dataset *set = l->set;
    msfl_status status = msfl_set_allocate(set, l->scan.paths.n);
    for (size_t i = 0; i < l->scan.paths.n && status == MSFL_OK; i++) {
        const msfl_image_header *h = &l->headers[i];
        set->origins[i] = (msfl_origin){h->width, h->height,        h->channels,
                                        h->bits,  l->scan.parts[i], msfl_image_format_name(h->format)};
        const char *path = msfl_texts_get(&l->scan.paths, i);
        status = msfl_texts_add(&set->names, path, strlen(path));
    }
    if (status != MSFL_OK) return status;
    msfl_progress_init(&l->progress, l->options->observer, "reading images", l->scan.paths.n);
    status = msfl_pool_run(l->pool, l->scan.paths.n, decode_one, l);
    msfl_progress_clear(&l->progress);
    return status;
}

static msfl_status skip_broken(load *l) {
    msfl_status status = MSFL_OK;
    for (size_t i = 0; i < l->scan.paths.n && status == MSFL_OK; i++) {
        if (!l->broken[i]) continue;
        msfl_error_set(l->reasons[i]);
        status = msfl_set_skip(l->set, l->options, msfl_texts_get(&l->scan.paths, i), l->statuses[i]);
    }
    return status;
}

msfl_status msfl_set_load_folder(msfl_dataset *set, const msfl_dataset_options *options) {
    load l = {.set = set, .options = options};
    msfl_status status = find_files(&l);
    if (status == MSFL_OK) status = read_table(&l);
    if (status == MSFL_OK) status = read_labels(&l);
    if (status == MSFL_OK) status = read_keys(&l);
    if (status == MSFL_OK) status = msfl_pool_new(options->n_threads, &l.pool);
    if (status == MSFL_OK) status = probe_all(&l);
    /* Before any work is spent on the others. */
    if (status == MSFL_OK && options->refuse_bad) status = skip_broken(&l);
    if (status == MSFL_OK) status = choose_size(&l);
    if (status == MSFL_OK) status = decode_all(&l);
    if (status == MSFL_OK) status = skip_broken(&l);
    if (status != MSFL_OK) goto done;
    msfl_texts *lists[] = {&l.labels, &l.keys};
    status = msfl_set_compact(set, l.broken, lists, 2);
    if (status != MSFL_OK) goto done;
    status = msfl_set_finish(set, &l.labels, &l.keys, l.label_key, l.group_key);
    l.label_key = l.group_key = NULL;
done:
    load_clear(&l);
    return status;
}
