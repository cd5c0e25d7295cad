/* Finding the items of a folder: files, tables, masks. */

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/observe.h"
#include "dataset/folder_scan.h"
#include "dataset/labels.h"
#include "import/named.h"
#include "import/sequences.h"

#include <string.h>

/* Room for the files of `n` items. */
static msfl_status reserve(msfl_items *items, size_t n, size_t files_of_each) {
    items->files = msfl_alloc(n * files_of_each, sizeof *items->files);
    if (items->files == NULL) return MSFL_NO_MEMORY;
    items->files_capacity = n * files_of_each;
    return msfl_items_reserve(items, n);
}

static msfl_status add_file(msfl_items *items, uint32_t path) {
    void *files = items->files;
    msfl_status status = msfl_grow(&files, &items->files_capacity, items->n_files + 1, sizeof *items->files);
    items->files = files;
    if (status == MSFL_OK) items->files[items->n_files++] = path;
    return status;
}

typedef struct finder {
    const msfl_items_options *o;
    const msfl_recipe *recipe;
    msfl_items *items;
    msfl_scan scan;
    msfl_labels table;
    uint32_t label, patient, mask; /* columns; MSFL_NO_ROW: none */
    bool is_unnamed;               /* masks without classes: all samples are of one */
    bool by_names;                 /* the table was made of file names */
    const char *unlabelled;        /* the first file without a label; NULL: none, or rows are samples */
} finder;

static msfl_status find_column(const finder *f, const char *name, uint32_t *column) {
    *column = msfl_csv_find(f->table.table, name);
    if (*column < msfl_csv_columns(f->table.table)) return MSFL_OK;
    if (f->o->masks != NULL && strcmp(name, f->o->masks) == 0) {
        return msfl_fail(MSFL_ERR_DATA, "%s has no column '%s', and no folder of that name is there (--masks)",
                         f->table.path, name);
    }
    return msfl_fail(MSFL_ERR_DATA, "%s has no column '%s'", f->table.path, name);
}

static msfl_status open_table(finder *f, const char *root) {
    msfl_status status =
        f->o->labels != NULL ? msfl_labels_read(f->o->labels, &f->table) : msfl_labels_open(root, true, &f->table);
    if (status != MSFL_OK || f->table.table == NULL) return status;
    f->patient = f->table.patient;
    if (f->o->patient != NULL) status = find_column(f, f->o->patient, &f->patient);
    if (status == MSFL_OK && f->o->masks != NULL && !msfl_is_folder(f->o->masks)) {
        status = find_column(f, f->o->masks, &f->mask);
    }
    return status;
}

/* Masks are no pictures, also where their folder lies in that of the data. */
static msfl_status leave_out_masks(finder *f) {
    const msfl_scan *all = &f->scan;
    if (f->o->masks == NULL || !msfl_is_folder(f->o->masks)) return MSFL_OK;
    const size_t n = strlen(f->o->masks);
    msfl_texts paths = {0}, classes = {0};
    msfl_status status = MSFL_OK;
    for (size_t i = 0; i < all->paths.n && status == MSFL_OK; i++) {
        const char *path = msfl_texts_get(&all->paths, i), *label = msfl_texts_get(&all->classes, i);
        char *whole = msfl_path_join(all->root, path);
        if (whole == NULL) {
            status = MSFL_NO_MEMORY;
        } else if (strncmp(whole, f->o->masks, n) != 0 || whole[n] != '/') {
            all->parts[paths.n] = all->parts[i];
            status = msfl_texts_add(&paths, path, strlen(path));
            if (status == MSFL_OK) status = msfl_texts_add(&classes, label, strlen(label));
        }
        msfl_free(whole);
    }
    msfl_texts_clear(&f->scan.paths);
    msfl_texts_clear(&f->scan.classes);
    f->scan.paths = paths;
    f->scan.classes = classes;
    if (status != MSFL_OK || paths.n > 0) return status;
    return msfl_fail(MSFL_ERR_DATA, "%s: every picture of the data lies in this folder of masks", f->o->masks);
}

static msfl_status describe(finder *f) {
    if (f->patient == MSFL_NO_ROW) return MSFL_OK;
    f->items->patient_key = f->by_names ? msfl_strdup("file names") : msfl_labels_describe(&f->table, f->patient);
    return f->items->patient_key == NULL ? MSFL_NO_MEMORY : MSFL_OK;
}

/* --- one row of the table is one sample: recipes with sequences --- */

static msfl_status add_row(finder *f, uint32_t row, const uint32_t *columns) {
    const msfl_csv *t = f->table.table;
    msfl_items *items = f->items;
    const char *label = msfl_csv_cell(t, row, f->label);
    if (msfl_labels_is_blank(label)) {
        items->n_unlabelled++;
        return MSFL_OK;
    }
    uint8_t patient[MSFL_HASH_BYTES] = {0};
    uint32_t paths[MSFL_RECIPE_SEQUENCES_MAX] = {0};
    msfl_item item = {.first = (uint32_t)items->n_files, .n = f->recipe->n_sequences, .mask = MSFL_NO_PATH};
    msfl_status status = MSFL_OK;
    bool complete = true;
    for (uint32_t i = 0; i < item.n && status == MSFL_OK; i++) {
        status = msfl_named_by_cell(items, &paths[i], f->o->data, &f->table, row, columns[i]);
        complete &= paths[i] != MSFL_NO_PATH;
    }
    if (status == MSFL_OK && f->mask != MSFL_NO_ROW) {
        status = msfl_named_by_cell(f->items, &item.mask, f->o->data, &f->table, row, f->mask);
    } else if (status == MSFL_OK && f->o->masks != NULL) {
        status = msfl_named_beside(items, &item.mask, f->o->masks, msfl_csv_cell(t, row, columns[0]));
    }
    complete &= f->o->masks == NULL || item.mask != MSFL_NO_PATH;
    if (status != MSFL_OK) return status;
    if (!complete) {
        items->n_incomplete++;
        return MSFL_OK;
    }
    for (uint32_t i = 0; i < item.n && status == MSFL_OK; i++)
        status = add_file(items, paths[i]);
    if (f->patient != MSFL_NO_ROW && !msfl_labels_is_blank(msfl_csv_cell(t, row, f->patient))) {
        msfl_patient_hash(msfl_csv_cell(t, row, f->patient), patient);
    }
    return status == MSFL_OK ? msfl_items_add(items, &item, label, patient) : status;
}

/* Without a table: by what the files are called. */
static msfl_status read_names(finder *f) {
    const char *mask = f->o->masks != NULL && !msfl_is_folder(f->o->masks) ? f->o->masks : NULL;
    msfl_status status = msfl_scan_folder(f->o->data, f->o->observer, &f->scan);
    if (status == MSFL_OK) status = msfl_sequences_table(&f->scan, f->recipe, mask, &f->table);
    if (status != MSFL_OK) return status;
    msfl_observe_text(f->o->observer, MSFL_EVENT_INFO, "data", "%u samples found by the names of their files",
                      msfl_csv_rows(f->table.table));
    f->by_names = true;
    f->patient = f->table.patient;
    if (f->o->patient != NULL) status = find_column(f, f->o->patient, &f->patient);
    if (status == MSFL_OK && mask != NULL) status = find_column(f, mask, &f->mask);
    return status;
}

static msfl_status find_rows(finder *f) {
    uint32_t columns[MSFL_RECIPE_SEQUENCES_MAX];
    msfl_status status = open_table(f, f->o->data);
    if (status == MSFL_OK && f->table.table == NULL) status = read_names(f);
    for (uint32_t i = 0; i < f->recipe->n_sequences && status == MSFL_OK; i++)
        status = find_column(f, f->recipe->sequences[i], &columns[i]);
    if (status == MSFL_OK) status = find_column(f, f->o->label != NULL ? f->o->label : "class", &f->label);
    if (status == MSFL_OK) status = describe(f);
    if (status != MSFL_OK) return status;
    f->items->label_key = f->by_names ? msfl_strdup("folder names") : msfl_labels_describe(&f->table, f->label);
    if (f->items->label_key == NULL) return MSFL_NO_MEMORY;
    status = reserve(f->items, msfl_csv_rows(f->table.table), f->recipe->n_sequences);
    for (uint32_t row = 0; row < msfl_csv_rows(f->table.table) && status == MSFL_OK; row++)
        status = add_row(f, row, columns);
    return status;
}

/* --- one file is one sample --- */

/* A table that was named goes before folders, which may be an archive's and no classes; one that lies there, where the
 * folders tell no two classes apart. */
static bool table_tells(const finder *f) {
    return msfl_labels_tell_classes(&f->table) && (f->o->labels != NULL || msfl_scan_has_one_class(&f->scan));
}

static msfl_status read_labels(finder *f) {
    const char *name = f->o->label;
    if (name == NULL && !f->scan.flat && !table_tells(f)) {
        f->items->label_key = msfl_strdup("folder names");
        return f->items->label_key == NULL ? MSFL_NO_MEMORY : MSFL_OK;
    }
    /* Who has masks need not have classes. */
    f->is_unnamed = name == NULL && f->o->masks != NULL &&
                    (f->table.table == NULL || f->table.n_matched == 0 ||
                     msfl_csv_find(f->table.table, "class") >= msfl_csv_columns(f->table.table));
    if (f->is_unnamed) {
        f->items->label_key = msfl_strdup("masks alone");
        return f->items->label_key == NULL ? MSFL_NO_MEMORY : MSFL_OK;
    }
    if (f->table.n_matched == 0) {
        return msfl_fail(MSFL_ERR_DATA,
                         "%s: nothing tells the classes: put the files into one folder for each class, or name a table "
                         "with a column of file names (--labels)",
                         f->o->data);
    }
    msfl_status status = msfl_labels_column(&f->table, f->o->data, name != NULL ? name : "class", &f->label);
    if (status != MSFL_OK) return status;
    f->items->label_key = msfl_labels_describe(&f->table, f->label);
    if (f->items->label_key == NULL) return MSFL_NO_MEMORY;
    if (name == NULL && !f->scan.flat) {
        msfl_observe_text(f->o->observer, MSFL_EVENT_INFO, "data", "classes are those of the table, not of folders");
    }
    return MSFL_OK;
}

static msfl_status check_mask(const msfl_items *items, uint32_t mask, uint32_t image, const char *path) {
    char *a = msfl_paths_get(&items->paths, mask), *b = msfl_paths_get(&items->paths, image);
    msfl_status status = a == NULL || b == NULL ? MSFL_NO_MEMORY : MSFL_OK;
    if (status == MSFL_OK && strcmp(a, b) == 0) {
        status =
            msfl_fail(MSFL_ERR_DATA, "%s is named as its own mask: name another folder or column with --masks", path);
    }
    msfl_free(a);
    msfl_free(b);
    return status;
}

static msfl_status add_scanned(finder *f, size_t i) {
    const char *path = msfl_texts_get(&f->scan.paths, i), *label = msfl_texts_get(&f->scan.classes, i);
    uint8_t patient[MSFL_HASH_BYTES] = {0};
    uint32_t row = f->table.row_of != NULL ? f->table.row_of[i] : MSFL_NO_ROW, number = MSFL_NO_PATH;
    if (f->is_unnamed) label = "all";
    if (f->label != MSFL_NO_ROW) label = row == MSFL_NO_ROW ? "" : msfl_csv_cell(f->table.table, row, f->label);
    if (msfl_labels_is_blank(label)) {
        if (f->items->n_unlabelled++ == 0) f->unlabelled = path;
        return MSFL_OK;
    }
    msfl_item item = {.first = (uint32_t)f->items->n_files, .n = 1, .mask = MSFL_NO_PATH, .part = f->scan.parts[i]};
    msfl_status status = MSFL_OK;
    if (f->mask != MSFL_NO_ROW && row != MSFL_NO_ROW) {
        status = msfl_named_by_cell(f->items, &item.mask, f->o->data, &f->table, row, f->mask);
    } else if (f->o->masks != NULL && f->mask == MSFL_NO_ROW) {
        status = msfl_named_beside(f->items, &item.mask, f->o->masks, path);
    }
    if (status == MSFL_OK && f->o->masks != NULL && item.mask == MSFL_NO_PATH) {
        f->items->n_incomplete++;
        return MSFL_OK;
    }
    if (row != MSFL_NO_ROW && f->patient != MSFL_NO_ROW) {
        const char *cell = msfl_csv_cell(f->table.table, row, f->patient);
        if (!msfl_labels_is_blank(cell)) msfl_patient_hash(cell, patient);
    }
    if (status == MSFL_OK) status = msfl_named_add(f->items, &number, f->scan.root, path);
    if (status == MSFL_OK && item.mask != MSFL_NO_PATH) {
        status = check_mask(f->items, item.mask, number, path);
    }
    if (status == MSFL_OK) status = add_file(f->items, number);
    return status == MSFL_OK ? msfl_items_add(f->items, &item, label, patient) : status;
}

static const char not_utf8[] = "; its letters are not UTF-8: save the table as CSV UTF-8";

static msfl_status find_files(finder *f) {
    msfl_status status = f->o->labels != NULL ? msfl_scan_for_table(f->o->data, f->o->observer, &f->scan)
                                              : msfl_scan_folder(f->o->data, f->o->observer, &f->scan);
    f->items->n_ignored = f->scan.n_ignored;
    if (status == MSFL_OK && f->scan.paths.n == 0) {
        status = msfl_scan_fail_empty(&f->scan, f->o->data);
    }
    if (status == MSFL_OK && f->o->masks == NULL) msfl_scan_warn_of_masks(&f->scan, f->o->observer);
    if (status == MSFL_OK) status = leave_out_masks(f);
    if (status == MSFL_OK) status = open_table(f, f->scan.root);
    if (status == MSFL_OK && f->o->masks != NULL && f->table.table == NULL && !msfl_is_folder(f->o->masks)) {
        status = msfl_fail(MSFL_ERR_DATA,
                           "--masks %s is no folder, and there is no table that could have such a column", f->o->masks);
    }
    if (status == MSFL_OK) status = msfl_labels_match_paths(&f->table, &f->scan.paths);
    if (status == MSFL_OK && f->o->labels != NULL && f->table.n_matched == 0) {
        bool is_utf8 = true;
        for (uint32_t row = 0; is_utf8 && row < msfl_csv_rows(f->table.table); row++)
            is_utf8 = msfl_labels_is_utf8(&f->table, row);
        status = msfl_fail(MSFL_ERR_DATA, "%s: no column of it names files in %s%s", f->o->labels, f->scan.root,
                           is_utf8 ? "" : not_utf8);
    }
    if (status == MSFL_OK && f->o->patient == NULL && f->table.n_matched == 0) f->patient = MSFL_NO_ROW;
    if (status == MSFL_OK) status = read_labels(f);
    if (status == MSFL_OK) status = describe(f);
    if (status == MSFL_OK && f->o->labels != NULL && f->label == MSFL_NO_ROW && f->patient == MSFL_NO_ROW &&
        f->mask == MSFL_NO_ROW) {
        msfl_observe_text(
            f->o->observer, MSFL_EVENT_WARNING, "data",
            "nothing is taken from %s: it has no column 'class' and none that is usual for patients; name "
            "them with --label and --patient",
            f->o->labels);
    }
    if (status == MSFL_OK) status = reserve(f->items, f->scan.paths.n, 1);
    for (size_t i = 0; i < f->scan.paths.n && status == MSFL_OK; i++)
        status = add_scanned(f, i);
    return status;
}

/* Rows that name no picture: some tables are of more than one folder, so it is no error. */
static msfl_status count_unmatched(const finder *f, uint32_t *line, bool *is_utf8) {
    if (f->table.table == NULL || f->table.row_of == NULL || f->table.n_matched == 0) return MSFL_OK;
    uint32_t n = msfl_csv_rows(f->table.table);
    bool *named = msfl_alloc(n, sizeof *named);
    if (named == NULL) return MSFL_NO_MEMORY;
    for (size_t i = 0; i < f->table.n_images; i++)
        if (f->table.row_of[i] != MSFL_NO_ROW) named[f->table.row_of[i]] = true;
    for (uint32_t row = n; row > 0; row--) {
        if (named[row - 1]) continue;
        *line = msfl_csv_line(f->table.table, row - 1);
        *is_utf8 = *is_utf8 && msfl_labels_is_utf8(&f->table, row - 1);
        f->items->n_unmatched++;
    }
    msfl_free(named);
    return MSFL_OK;
}

static msfl_status tell_left_out(const finder *f) {
    const msfl_items *items = f->items;
    const msfl_observer *observer = f->o->observer;
    const char *has = f->recipe->n_sequences > 0 ? "a file or a mask" : "a mask";
    uint32_t line = 0;
    bool is_utf8 = true;
    if (items->n_incomplete > 0 && f->o->refuse_bad) {
        return msfl_fail(MSFL_ERR_DATA, "%s: %u samples lack %s, and such are to be refused", f->o->data,
                         items->n_incomplete, has);
    }
    if (items->n_incomplete > 0) {
        msfl_observe_text(observer, MSFL_EVENT_WARNING, "data", "left out: %u samples that lack %s",
                          items->n_incomplete, has);
    }
    if (items->n_unlabelled > 0) {
        msfl_observe_text(observer, MSFL_EVENT_WARNING, "data", "left out: %u samples without a label%s%s",
                          items->n_unlabelled, f->unlabelled != NULL ? "; the first is " : "",
                          f->unlabelled != NULL ? f->unlabelled : "");
    }
    msfl_status status = count_unmatched(f, &line, &is_utf8);
    if (items->n_unmatched > 0) {
        msfl_observe_text(observer, MSFL_EVENT_WARNING, "data",
                          "%u rows of %s name no picture of these; the first is line %u%s", items->n_unmatched,
                          f->table.path, line, is_utf8 ? "" : not_utf8);
    }
    return status;
}

msfl_status msfl_items_find(const msfl_items_options *options, const msfl_recipe *recipe, msfl_items *out) {
    msfl_items items = {0};
    finder f = {.o = options,
                .recipe = recipe,
                .items = &items,
                .label = MSFL_NO_ROW,
                .patient = MSFL_NO_ROW,
                .mask = MSFL_NO_ROW};
    msfl_status status = recipe->n_sequences > 0 ? find_rows(&f) : find_files(&f);
    if (status == MSFL_OK && items.n == 0) {
        status =
            msfl_fail(MSFL_ERR_DATA,
                      "%s: nothing to import; %u samples have no label, %u lack a file or a mask that the table or "
                      "--masks should name",
                      options->data, items.n_unlabelled, items.n_incomplete);
    }
    if (status == MSFL_OK) status = tell_left_out(&f);
    msfl_scan_clear(&f.scan);
    msfl_labels_clear(&f.table);
    if (status != MSFL_OK) {
        msfl_items_clear(&items);
        return status;
    }
    *out = items;
    return MSFL_OK;
}
