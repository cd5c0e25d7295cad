#include "dataset/labels.h"

#include "base/bytes.h"
#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

void msfl_labels_clear(msfl_labels *labels) {
    msfl_csv_free(labels->table);
    msfl_free(labels->path);
    msfl_free(labels->prefix);
    msfl_free(labels->row_of);
    *labels = (msfl_labels){0};
}

static uint32_t find_patient(const msfl_csv *table) {
    static const char *const headings[] = {"patient_key", "patient",    "patient_id", "patientid",
                                           "patient id",  "subject_id", "subject",    "group"};
    for (size_t i = 0; i < sizeof headings / sizeof headings[0]; i++) {
        uint32_t column = msfl_csv_find(table, headings[i]);
        if (column < msfl_csv_columns(table)) return column;
    }
    return MSFL_NO_ROW;
}

/* Takes `path` and `prefix`, which may be NULL for want of memory. */
static msfl_status read_table(char *path, char *prefix, msfl_labels *out) {
    out->path = path;
    out->prefix = prefix;
    if (path == NULL || prefix == NULL) return MSFL_ERR_MEMORY;
    uint8_t *bytes;
    size_t length;
    msfl_status status = msfl_file_read(path, MSFL_CSV_BYTES_MAX, &bytes, &length);
    if (status == MSFL_OK) status = msfl_csv_parse(path, bytes, length, &out->table);
    if (status == MSFL_OK) out->patient = find_patient(out->table);
    return status;
}

msfl_status msfl_labels_open(const char *folder, bool above, msfl_labels *out) {
    *out = (msfl_labels){.patient = MSFL_NO_ROW};
    char *path = msfl_path_join(folder, "labels.csv");
    if (path == NULL) return MSFL_ERR_MEMORY;
    if (msfl_file_exists(path)) return read_table(path, msfl_strdup(""), out);
    msfl_free(path);
    if (!above) return MSFL_OK;
    /* "." and "sets/.." have a parent too. */
    char *real = realpath(folder, NULL);
    if (real == NULL) return MSFL_OK;
    msfl_status status = MSFL_OK;
    char *slash = strrchr(real, '/');
    if (slash != NULL && slash[1] != 0) {
        *slash = 0;
        path = msfl_path_join(slash == real ? "/" : real, "labels.csv");
        if (path == NULL) {
            status = MSFL_ERR_MEMORY;
        } else if (msfl_file_exists(path)) {
            status = read_table(path, msfl_format("%s/", slash + 1), out);
        } else {
            msfl_free(path);
        }
    }
    free(real);
    return status;
}

msfl_status msfl_labels_read(const char *path, msfl_labels *out) {
    *out = (msfl_labels){.patient = MSFL_NO_ROW};
    return read_table(msfl_strdup(path), msfl_strdup(""), out);
}

static msfl_status rows_new(msfl_labels *labels, size_t n) {
    labels->row_of = msfl_alloc(n, sizeof *labels->row_of);
    if (labels->row_of == NULL) return MSFL_ERR_MEMORY;
    labels->n_images = n;
    labels->n_matched = 0;
    for (size_t i = 0; i < n; i++)
        labels->row_of[i] = MSFL_NO_ROW;
    return MSFL_OK;
}

msfl_status msfl_labels_match_index(msfl_labels *labels, size_t n) {
    msfl_status status = rows_new(labels, n);
    if (status != MSFL_OK || labels->table == NULL || msfl_csv_rows(labels->table) != n) return status;
    uint32_t column = msfl_csv_find(labels->table, "index");
    if (column == msfl_csv_columns(labels->table)) return MSFL_OK;
    for (uint32_t row = 0; row < n; row++) {
        int64_t index;
        if (!msfl_whole_number(msfl_csv_cell(labels->table, row, column), &index) || index < 0 || (size_t)index >= n ||
            labels->row_of[index] != MSFL_NO_ROW) {
            for (size_t i = 0; i < n; i++)
                labels->row_of[i] = MSFL_NO_ROW;
            labels->n_matched = 0;
            return MSFL_OK;
        }
        labels->row_of[index] = row;
        labels->n_matched++;
    }
    return MSFL_OK;
}

/* Images in the order of their paths, for binary search by cells of the table. */
typedef struct finder {
    const char *prefix;
    const msfl_texts *paths;
    bool names_only;
    uint32_t *order;
} finder;

static const char *key_of(const finder *f, uint32_t image) {
    const char *path = msfl_texts_get(f->paths, image);
    const char *slash = f->names_only ? strrchr(path, '/') : NULL;
    return slash != NULL ? slash + 1 : path;
}

static int compare_images(const void *a, const void *b, void *context) {
    uint32_t i = *(const uint32_t *)a, j = *(const uint32_t *)b;
    int order = strcmp(key_of(context, i), key_of(context, j));
    return order != 0 ? order : i < j ? -1 : i > j;
}

static msfl_status finder_new(const msfl_labels *labels, const msfl_texts *paths, bool names_only, finder *f) {
    *f = (finder){labels->prefix, paths, names_only, msfl_alloc(paths->n, sizeof *f->order)};
    if (f->order == NULL) return MSFL_ERR_MEMORY;
    for (size_t i = 0; i < paths->n; i++)
        f->order[i] = (uint32_t)i;
    qsort_r(f->order, paths->n, sizeof *f->order, compare_images, f);
    return MSFL_OK;
}

static uint32_t find_path(const finder *f, const char *cell) {
    while (strncmp(cell, "./", 2) == 0)
        cell += 2;
    if (f->names_only) {
        const char *slash = strrchr(cell, '/');
        if (slash != NULL) cell = slash + 1;
    } else {
        size_t n = strlen(f->prefix);
        if (strncmp(cell, f->prefix, n) != 0) return MSFL_NO_ROW;
        cell += n;
    }
    if (*cell == 0) return MSFL_NO_ROW;
    size_t low = 0, high = f->paths->n;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (strcmp(key_of(f, f->order[middle]), cell) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low == f->paths->n || strcmp(key_of(f, f->order[low]), cell) != 0) return MSFL_NO_ROW;
    if (low + 1 < f->paths->n && strcmp(key_of(f, f->order[low + 1]), cell) == 0) return MSFL_NO_ROW;
    return f->order[low];
}

/* The image a cell names, or MSFL_NO_ROW; also where several images have that name. Tables that were made under Windows
 * part folders by backslashes. */
static uint32_t find_image(const finder *f, const char *cell) {
    enum { PATH_BYTES = 4096 };
    uint32_t image = find_path(f, cell);
    size_t n = strlen(cell);
    if (image != MSFL_NO_ROW || n >= PATH_BYTES || memchr(cell, '\\', n) == NULL) return image;
    char turned[PATH_BYTES];
    for (size_t i = 0; i <= n; i++)
        turned[i] = (char)(cell[i] == '\\' ? '/' : cell[i]);
    return find_path(f, turned);
}

/* The column that names most images. A first look at some rows is enough unless it finds nothing. */
static uint32_t best_column(const msfl_labels *labels, const finder *f) {
    enum { SAMPLE = 2000 };
    uint32_t rows = msfl_csv_rows(labels->table), columns = msfl_csv_columns(labels->table);
    for (uint32_t limit = rows < SAMPLE ? rows : SAMPLE;; limit = rows) {
        uint32_t best = MSFL_NO_ROW, best_count = 0;
        for (uint32_t column = 0; column < columns; column++) {
            uint32_t count = 0;
            for (uint32_t row = 0; row < limit; row++)
                count += find_image(f, msfl_csv_cell(labels->table, row, column)) != MSFL_NO_ROW;
            if (count > best_count) {
                best = column;
                best_count = count;
            }
        }
        if (best != MSFL_NO_ROW || limit == rows) return best;
    }
}

static msfl_status match_column(msfl_labels *labels, const finder *f, uint32_t column) {
    for (uint32_t row = 0; row < msfl_csv_rows(labels->table); row++) {
        uint32_t image = find_image(f, msfl_csv_cell(labels->table, row, column));
        if (image == MSFL_NO_ROW) continue;
        uint32_t other = labels->row_of[image];
        if (other == MSFL_NO_ROW) {
            labels->row_of[image] = row;
            labels->n_matched++;
            continue;
        }
        labels->repeated_line = msfl_csv_line(labels->table, row);
        if (labels->patient != MSFL_NO_ROW && strcmp(msfl_csv_cell(labels->table, row, labels->patient),
                                                     msfl_csv_cell(labels->table, other, labels->patient)) != 0) {
            return msfl_fail(MSFL_ERR_DATA,
                             "%s: lines %u and %u name the same image but differ in column '%s': remove one of them",
                             labels->path, msfl_csv_line(labels->table, other), labels->repeated_line,
                             msfl_csv_heading(labels->table, labels->patient));
        }
    }
    return MSFL_OK;
}

msfl_status msfl_labels_match_paths(msfl_labels *labels, const msfl_texts *paths) {
    msfl_status status = rows_new(labels, paths->n);
    if (status != MSFL_OK || labels->table == NULL) return status;
    for (int names_only = 0; names_only < 2 && labels->n_matched == 0 && status == MSFL_OK; names_only++) {
        finder f;
        status = finder_new(labels, paths, names_only != 0, &f);
        if (status != MSFL_OK) return status;
        uint32_t column = best_column(labels, &f);
        if (column != MSFL_NO_ROW) status = match_column(labels, &f, column);
        msfl_free(f.order);
    }
    return status;
}

bool msfl_labels_is_blank(const char *cell) {
    static const char *const blanks[] = {"", "NA", "N/A", "NaN", "null"};
    for (size_t i = 0; i < sizeof blanks / sizeof blanks[0]; i++) {
        if (strcasecmp(cell, blanks[i]) == 0) return true;
    }
    return false;
}

msfl_status msfl_labels_take(const msfl_labels *labels, uint32_t column, msfl_texts *out) {
    msfl_status status = MSFL_OK;
    for (size_t i = 0; i < labels->n_images && status == MSFL_OK; i++) {
        uint32_t row = labels->row_of[i];
        const char *cell = row == MSFL_NO_ROW ? "" : msfl_csv_cell(labels->table, row, column);
        if (msfl_labels_is_blank(cell)) cell = "";
        status = msfl_texts_add(out, cell, strlen(cell));
    }
    return status;
}

char *msfl_labels_describe(const msfl_labels *labels, uint32_t column) {
    const char *slash = strrchr(labels->path, '/');
    bool usual = strcmp(slash != NULL ? slash + 1 : labels->path, "labels.csv") == 0;
    return msfl_format("%.100s in %s", msfl_csv_heading(labels->table, column), usual ? "labels.csv" : "the table");
}

bool msfl_labels_tell_classes(const msfl_labels *labels) {
    return labels->table != NULL && labels->n_matched > 0 &&
           msfl_csv_find(labels->table, "class") < msfl_csv_columns(labels->table);
}

/* RFC 3629, but for code points that no file should have anyhow. */
static bool is_utf8(const unsigned char *t) {
    while (*t != 0) {
        size_t more = *t < 0x80                 ? 0
                      : *t >= 0xc2 && *t < 0xe0 ? 1
                      : *t >= 0xe0 && *t < 0xf0 ? 2
                      : *t >= 0xf0 && *t < 0xf5 ? 3
                                                : 4;
        if (more == 4) return false;
        for (t++; more > 0; more--, t++)
            if (*t < 0x80 || *t > 0xbf) return false;
    }
    return true;
}

bool msfl_labels_is_utf8(const msfl_labels *labels, uint32_t row) {
    for (uint32_t column = 0; column < msfl_csv_columns(labels->table); column++)
        if (!is_utf8((const unsigned char *)msfl_csv_cell(labels->table, row, column))) return false;
    return true;
}

msfl_status msfl_labels_column(const msfl_labels *labels, const char *source, const char *name, uint32_t *column) {
    if (labels->table == NULL) {
        return msfl_fail(MSFL_ERR_DATA, "%s: there is no label '%s': no array of that name and no labels.csv", source,
                         name);
    }
    *column = msfl_csv_find(labels->table, name);
    if (*column == msfl_csv_columns(labels->table)) {
        msfl_buffer list = {0};
        for (uint32_t i = 0; i < msfl_csv_columns(labels->table) && list.length < 500; i++)
            msfl_put_text(&list, "%s%.60s", i > 0 ? ", " : "", msfl_csv_heading(labels->table, i));
        msfl_status status = list.status;
        if (status == MSFL_OK) {
            msfl_put8(&list, 0);
            status = list.status;
        }
        if (status == MSFL_OK) {
            status =
                msfl_fail(MSFL_ERR_DATA, "%s: there is no label '%s'; name one with --label: %s has the columns %s",
                          source, name, labels->path, (const char *)list.bytes);
        }
        msfl_buffer_clear(&list);
        return status;
    }
    if (labels->n_matched == 0) {
        return msfl_fail(MSFL_ERR_DATA,
                         "%s: the rows of %s cannot be matched to the images: for an array they need a column 'index' "
                         "from 0 to n - 1, for a folder a column with file names",
                         source, labels->path);
    }
    if (labels->repeated_line != 0) {
        return msfl_fail(MSFL_ERR_DATA,
                         "%s: line %u names an image that an earlier line names too; a label needs one line "
                         "per image",
                         labels->path, labels->repeated_line);
    }
    return MSFL_OK;
}
