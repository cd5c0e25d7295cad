/* medsecurefl data inspect --series FILE...: which volumes single slices make up. */
#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "cmd_data.h"
#include "columns.h"
#include "medsecurefl/inspect.h"
#include "terminal.h"
#include "text/json.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* Archives lay patients, studies and series into one another. */
enum { FILES_MAX = 1 << 20, DEPTH_MAX = 8 };

typedef struct list {
    char **paths;
    size_t n, capacity;
    size_t n_named; /* of these by the caller, as files: they stand first */
} list;

/* Takes `path`. */
static msfl_status add(list *l, char *path) {
    if (path == NULL) return MSFL_ERR_MEMORY;
    void *array = l->paths;
    msfl_status status = msfl_grow(&array, &l->capacity, l->n + 1, sizeof *l->paths);
    l->paths = array;
    if (status != MSFL_OK) {
        msfl_free(path);
        return status;
    }
    l->paths[l->n++] = path;
    return MSFL_OK;
}

/* The files in a folder and in those inside it, but for hidden ones. A link to a folder may lead back up. */
static msfl_status add_folder(list *l, const char *folder, int depth) {
    char **names;
    size_t n;
    msfl_status status = msfl_folder_list(folder, FILES_MAX, &names, &n);
    if (status != MSFL_OK) return status;
    for (size_t i = 0; i < n && status == MSFL_OK; i++) {
        struct stat info;
        if (names[i][0] == '.') continue;
        char *path = msfl_path_join(folder, names[i]);
        if (path == NULL) {
            status = MSFL_NO_MEMORY;
        } else if (!msfl_is_folder(path)) {
            status = l->n < FILES_MAX ? add(l, path)
                                      : msfl_fail(MSFL_ERR_LIMIT, "%s: more than %d files", folder, FILES_MAX);
            path = status == MSFL_ERR_LIMIT ? path : NULL;
        } else if (depth < DEPTH_MAX && lstat(path, &info) == 0 && S_ISDIR(info.st_mode)) {
            status = add_folder(l, path, depth + 1);
        }
        msfl_free(path);
    }
    msfl_names_free(names, n);
    return status;
}

/* In a folder lie other things too; a file that was named should have been DICOM. */
static bool is_other(const list *l, const msfl_volume_excuse *e) {
    return e->file >= l->n_named && strcmp(e->error, "unknown_format") == 0;
}

static json_t *volume_json(size_t number, const msfl_volume_facts *v, char **paths) {
    json_t *files = json_array(), *spacing = json_array();
    for (size_t i = 0; i < v->n_files; i++)
        json_array_append_new(files, msfl_json_string(paths[v->files[i]]));
    for (int i = 0; i < 3; i++)
        json_array_append_new(spacing, v->spacing_mm[i] > 0 ? msfl_json_real(v->spacing_mm[i]) : json_null());
    json_t *root = json_pack("{s:I, s:[I,I,I,I], s:o, s:s}", "volume", (json_int_t)number, "shape",
                             (json_int_t)v->shape[0], (json_int_t)v->shape[1], (json_int_t)v->shape[2],
                             (json_int_t)v->shape[3], "spacing_mm", spacing, "dtype", v->dtype);
    if (v->modality[0] != 0) json_object_set_new(root, "modality", json_string(v->modality));
    json_object_set_new(root, "sorted_by", json_string(v->by_position ? "position" : "number"));
    json_object_set_new(root, "gaps", json_integer(v->n_gaps));
    json_object_set_new(root, "missing", json_integer(v->n_missing));
    json_object_set_new(root, "duplicates", json_integer(v->n_duplicates));
    json_object_set_new(root, "aside", json_integer(v->n_aside));
    json_object_set_new(root, "uneven", json_boolean(v->uneven));
    json_object_set_new(root, "files", files);
    return root;
}

static msfl_status print_object(json_t *root) {
    char *text;
    msfl_status status = msfl_json_text(root, true, &text);
    json_decref(root);
    if (status != MSFL_OK) return status;
    puts(text);
    msfl_free(text);
    return MSFL_OK;
}

static msfl_status print_json(const msfl_volumes *v, char **paths) {
    msfl_status status = MSFL_OK;
    for (size_t i = 0; i < v->n && status == MSFL_OK; i++)
        status = print_object(volume_json(i + 1, &v->volumes[i], paths));
    for (size_t i = 0; i < v->n_excuses && status == MSFL_OK; i++) {
        const msfl_volume_excuse *e = &v->excuses[i];
        json_t *root = json_object();
        json_object_set_new(root, "file", msfl_json_string(paths[e->file]));
        json_object_set_new(root, "error", json_string(e->error));
        json_object_set_new(root, "message", msfl_json_string(e->message));
        status = print_object(root);
    }
    return status;
}

static void print_page(const msfl_volumes *v, const list *l) {
    char *const *paths = l->paths;
    size_t n_others = 0;
    for (size_t i = 0; i < v->n; i++) {
        const msfl_volume_facts *f = &v->volumes[i];
        printf("volume %zu: %llu x %llu x %llu %s %s", i + 1, (unsigned long long)f->shape[0],
               (unsigned long long)f->shape[1], (unsigned long long)f->shape[2], f->dtype, f->modality);
        if (f->spacing_mm[0] > 0) {
            printf(", %.6g x %.6g x %.6g mm", f->spacing_mm[0], f->spacing_mm[1], f->spacing_mm[2]);
        } else if (f->spacing_mm[1] > 0) {
            printf(", %.6g x %.6g mm", f->spacing_mm[1], f->spacing_mm[2]);
        }
        if (f->n_gaps > 0) printf(", %u slices missing in %u gaps", f->n_missing, f->n_gaps);
        if (f->n_duplicates > 0) printf(", %u duplicates", f->n_duplicates);
        if (f->n_aside > 0) printf(", %u beside the others", f->n_aside);
        if (f->uneven && f->n_gaps == 0) printf(", unevenly spaced");
        printf("; first file ");
        cli_print_safely(stdout, paths[f->files[0]]);
        putchar('\n');
    }
    for (size_t i = 0; i < v->n_excuses; i++) {
        if (is_other(l, &v->excuses[i])) {
            n_others++;
            continue;
        }
        printf("%s: ", v->excuses[i].error);
        cli_print_safely(stdout, v->excuses[i].message);
        putchar('\n');
    }
    if (n_others > 0) printf("%zu other files in these folders\n", n_others);
}

msfl_status cli_data_series(const char *const *words, size_t n, uint32_t n_threads, bool json) {
    list l = {0};
    msfl_volumes volumes = {0};
    msfl_status status = MSFL_OK;
    for (size_t i = 0; i < n && status == MSFL_OK; i++)
        if (!msfl_is_folder(words[i])) status = add(&l, msfl_strdup(words[i]));
    l.n_named = l.n;
    for (size_t i = 0; i < n && status == MSFL_OK; i++)
        if (msfl_is_folder(words[i])) status = add_folder(&l, words[i], 0);
    if (status == MSFL_OK && l.n == 0) status = msfl_fail(MSFL_ERR_USAGE, "no files to sort");
    if (status == MSFL_OK) status = msfl_inspect_series((const char *const *)l.paths, l.n, n_threads, &volumes);
    if (status == MSFL_OK && l.paths == NULL) status = MSFL_ERR_MEMORY; /* cannot be: l.n is not 0 */
    if (status == MSFL_OK && json) status = print_json(&volumes, l.paths);
    if (status == MSFL_OK && !json) print_page(&volumes, &l);
    size_t n_bad = 0, first = 0;
    for (size_t i = volumes.n_excuses; i > 0 && status == MSFL_OK; i--) {
        if (is_other(&l, &volumes.excuses[i - 1])) continue;
        n_bad++;
        first = i - 1;
    }
    if (status == MSFL_OK && n_bad > 0) {
        status = msfl_fail(MSFL_ERR_DATA, "%zu of %zu files are in no volume; the first: %s", n_bad, l.n,
                           volumes.excuses[first].message);
    } else if (status == MSFL_OK && volumes.n == 0) {
        status = msfl_fail(MSFL_ERR_DATA, "none of %zu files is DICOM", l.n);
    }
    msfl_volumes_clear(&volumes);
    msfl_names_free(l.paths, l.n);
    return status;
}
